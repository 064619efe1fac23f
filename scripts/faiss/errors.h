/*
 * Included before every file of FAISS's C API. The API keeps the last exception of a thread in a variable
 * with a destructor, and registering a destructor for a thread aborts the process when memory is short;
 * here it keeps the message alone, in storage that every thread has from its start.
 */
#ifndef SATCHEL_FAISS_ERRORS_H
#define SATCHEL_FAISS_ERRORS_H

#include "c_api/macros_impl.h"

void sat_faiss_remember(const char *message) noexcept;

#undef CATCH_AND_HANDLE
#define CATCH_AND_HANDLE                                                                           \
    catch (faiss::FaissException & e) {                                                            \
        sat_faiss_remember(e.what());                                                              \
        return FAISS_EXCEPT;                                                                       \
    }                                                                                              \
    catch (std::exception & e) {                                                                   \
        sat_faiss_remember(e.what());                                                              \
        return STD_EXCEPT;                                                                         \
    }                                                                                              \
    catch (...) {                                                                                  \
        sat_faiss_remember("unknown exception");                                                   \
        return UNKNOWN_EXCEPT;                                                                     \
    }                                                                                              \
    return 0;

#include "c_api/error_c.h"

#endif
