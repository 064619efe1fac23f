/*
 * Fault injection for a whole process: interpose.c is preloaded and stands before libc's allocation
 * and file functions, for our code and for every library below it (SQLite, FAISS and operator new,
 * jansson). A test program finds these functions only when the preload is there.
 */
#ifndef SATCHEL_TESTS_FAULTS_INTERPOSE_H
#define SATCHEL_TESTS_FAULTS_INTERPOSE_H

enum {
    FAULT_NONE = 0,
    FAULT_MEMORY = 1,    /* allocation returns NULL */
    FAULT_FILE = 2,      /* file call fails with EIO, ENOSPC where it writes */
    FAULT_FILE_TORN = 3, /* as FAULT_FILE, but a failing write leaves half of its bytes */
    FAULT_KILL = 4       /* the process dies by SIGKILL at the k-th call that changes a file */
};

/* Weak, but where they are defined. */
#ifndef FAULT_FUNCTION
#define FAULT_FUNCTION __attribute__((weak))
#endif

/* From now on the k-th call (1 is the next) of `kind` fails; with `for_good`, all after it too. */
FAULT_FUNCTION void fault_arm(int kind, long k, int for_good);
/* Stops failing. Returns the number of calls of the kind seen since fault_arm. */
FAULT_FUNCTION long fault_disarm(void);
/* Blocks allocated and not freed now. */
FAULT_FUNCTION long fault_live_blocks(void);

#endif
