/*
 * Included before every FAISS source file (-include). Two things are changed without touching the
 * sources:
 *
 * BLAS and LAPACK names get a prefix, so that the functions of retrieval/faiss_shim.c never meet an
 * app's own BLAS at link time, whichever library comes first.
 *
 * FAISS_ASSERT aborts the process in every build type; here it throws, and the C API turns the
 * exception into an error code. No FAISS destructor on our path asserts (those must not throw).
 */
#ifndef SATCHEL_FAISS_PRELUDE_H
#define SATCHEL_FAISS_PRELUDE_H

#define sgemm_ sat_faiss_sgemm
#define dgemm_ sat_faiss_dgemm
#define ssyrk_ sat_faiss_ssyrk
#define sgemv_ sat_faiss_sgemv
#define sgeqrf_ sat_faiss_sgeqrf
#define sorgqr_ sat_faiss_sorgqr
#define sgesvd_ sat_faiss_sgesvd
#define dgesvd_ sat_faiss_dgesvd
#define sgelsd_ sat_faiss_sgelsd
#define ssyev_ sat_faiss_ssyev
#define dsyev_ sat_faiss_dsyev
#define sgetrf_ sat_faiss_sgetrf
#define sgetri_ sat_faiss_sgetri
#define dgetrf_ sat_faiss_dgetrf
#define dgetri_ sat_faiss_dgetri

#include <faiss/impl/FaissAssert.h>

#undef FAISS_ASSERT
#undef FAISS_ASSERT_MSG
#undef FAISS_ASSERT_FMT
#define FAISS_ASSERT(X) FAISS_THROW_IF_NOT(X)
#define FAISS_ASSERT_MSG(X, MSG) FAISS_THROW_IF_NOT_MSG(X, MSG)
#define FAISS_ASSERT_FMT(X, FMT, ...) FAISS_THROW_IF_NOT_FMT(X, FMT, __VA_ARGS__)

#endif
