/*
 * The BLAS and LAPACK functions that FAISS refers to, under the names that scripts/faiss/prelude.h
 * gives them, so that neither OpenBLAS nor LAPACK is needed.
 *
 * Matrix products are real: FAISS's flat indexes use sgemm for batches of queries, and the two
 * others cost little. Factorisations (used to train PCA, OPQ and additive quantizers, none of which
 * Satchel builds) fail: they set info = -1, which FAISS turns into an error where it looks, and ask for
 * a workspace of one element, because FAISS allocates what they ask for before it looks.
 *
 * Matrices are column-major, as in Fortran: element (row, column) of a is a[row + column * lda].
 */
#include <stddef.h>

/* Called only by FAISS's objects, which bring their own declarations. */
#pragma GCC diagnostic ignored "-Wmissing-prototypes"
#pragma GCC visibility push(hidden)

enum { LANES = 8 };

/* Σ a[i·sa]·b[i·sb], in 8 lanes and a fixed tree. FAISS's searches pass contiguous rows. */
static float dot_float(const float *a, size_t sa, const float *b, size_t sb, size_t n) {
    float lane[LANES] = {0};
    size_t i = 0;
    if (sa == 1 && sb == 1) {
        for (; i + LANES <= n; i += LANES)
            for (size_t l = 0; l < LANES; l++)
                lane[l] += a[i + l] * b[i + l];
    }
    for (; i < n; i++)
        lane[i % LANES] += a[i * sa] * b[i * sb];
    return ((lane[0] + lane[4]) + (lane[2] + lane[6])) +
           ((lane[1] + lane[5]) + (lane[3] + lane[7]));
}

static double dot_double(const double *a, size_t sa, const double *b, size_t sb, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += a[i * sa] * b[i * sb];
    return sum;
}

static int is_transposed(const char *trans) {
    return *trans == 'T' || *trans == 't' || *trans == 'C' || *trans == 'c';
}

/*
 * c = alpha·op(a)·op(b) + beta·c with op(a) (m, k), op(b) (k, n), c (m, n). Row i of op(a) starts at
 * a + i·a_row and its elements lie a_step apart; the same for the columns of op(b). beta = 0 must not
 * read c: it may hold NaN.
 */
#define DEFINE_GEMM(name, real, dot)                                                               \
    int name(const char *trans_a, const char *trans_b, const int *m, const int *n, const int *k,   \
             const real *alpha, const real *a, const int *lda, const real *b, const int *ldb,      \
             const real *beta, real *c, const int *ldc) {                                          \
        if (*m <= 0 || *n <= 0 || *k < 0)                                                          \
            return 0;                                                                              \
        size_t a_row = is_transposed(trans_a) ? (size_t)*lda : 1;                                  \
        size_t a_step = is_transposed(trans_a) ? 1 : (size_t)*lda;                                 \
        size_t b_col = is_transposed(trans_b) ? 1 : (size_t)*ldb;                                  \
        size_t b_step = is_transposed(trans_b) ? (size_t)*ldb : 1;                                 \
        for (size_t j = 0; j < (size_t)*n; j++) {                                                  \
            real *column = c + j * (size_t)*ldc;                                                   \
            for (size_t i = 0; i < (size_t)*m; i++) {                                              \
                real sum = dot(a + i * a_row, a_step, b + j * b_col, b_step, (size_t)*k);          \
                column[i] = *alpha * sum + (*beta == 0 ? 0 : *beta * column[i]);                   \
            }                                                                                      \
        }                                                                                          \
        return 0;                                                                                  \
    }

DEFINE_GEMM(sat_faiss_sgemm, float, dot_float)
DEFINE_GEMM(sat_faiss_dgemm, double, dot_double)

/* c = alpha·op(a)·op(a)ᵀ + beta·c, one triangle of c (n, n); op(a) (n, k). */
int sat_faiss_ssyrk(const char *uplo, const char *trans, const int *n, const int *k,
                    const float *alpha, const float *a, const int *lda, const float *beta, float *c,
                    const int *ldc) {
    if (*n <= 0 || *k < 0)
        return 0;
    size_t rows = (size_t)*n, ld = (size_t)*lda;
    size_t row = is_transposed(trans) ? ld : 1, step = is_transposed(trans) ? 1 : ld;
    int upper = *uplo == 'U' || *uplo == 'u';
    for (size_t j = 0; j < rows; j++) {
        size_t first = upper ? 0 : j, last = upper ? j : rows - 1;
        for (size_t i = first; i <= last; i++) {
            float *out = c + i + j * (size_t)*ldc;
            float sum = dot_float(a + i * row, step, a + j * row, step, (size_t)*k);
            *out = *alpha * sum + (*beta == 0 ? 0 : *beta * *out);
        }
    }
    return 0;
}

/* A factorisation that fails; work[0] is where LAPACK answers a query for the workspace's size. */
#define REFUSE(work, info)                                                                         \
    do {                                                                                           \
        (work)[0] = 1;                                                                             \
        *(info) = -1;                                                                              \
    } while (0)

int sat_faiss_sgeqrf(int *m, int *n, float *a, int *lda, float *tau, float *work, int *lwork,
                     int *info) {
    REFUSE(work, info);
    return 0;
}

int sat_faiss_sorgqr(int *m, int *n, int *k, float *a, int *lda, float *tau, float *work,
                     int *lwork, int *info) {
    REFUSE(work, info);
    return 0;
}

int sat_faiss_sgesvd(const char *jobu, const char *jobvt, int *m, int *n, float *a, int *lda,
                     float *s, float *u, int *ldu, float *vt, int *ldvt, float *work, int *lwork,
                     int *info) {
    REFUSE(work, info);
    return 0;
}

int sat_faiss_dgesvd(const char *jobu, const char *jobvt, int *m, int *n, double *a, int *lda,
                     double *s, double *u, int *ldu, double *vt, int *ldvt, double *work,
                     int *lwork, int *info) {
    REFUSE(work, info);
    return 0;
}

int sat_faiss_sgelsd(int *m, int *n, int *nrhs, float *a, int *lda, float *b, int *ldb, float *s,
                     float *rcond, int *rank, float *work, int *lwork, int *iwork, int *info) {
    REFUSE(work, info);
    return 0;
}

int sat_faiss_dsyev(const char *jobz, const char *uplo, int *n, double *a, int *lda, double *w,
                    double *work, int *lwork, int *info) {
    REFUSE(work, info);
    return 0;
}

/* LU: no workspace query; the callers check info after the factorisation. */
void sat_faiss_sgetrf(int *m, int *n, float *a, int *lda, int *ipiv, int *info) {
    *info = -1;
}

void sat_faiss_sgetri(int *n, float *a, int *lda, int *ipiv, float *work, int *lwork, int *info) {
    *info = -1;
}

void sat_faiss_dgetrf(int *m, int *n, double *a, int *lda, int *ipiv, int *info) {
    *info = -1;
}

void sat_faiss_dgetri(int *n, double *a, int *lda, int *ipiv, double *work, int *lwork, int *info) {
    *info = -1;
}

#pragma GCC visibility pop
