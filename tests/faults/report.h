/* What all programs of the fault tests share: counting what is wrong, and plain file work. */
#ifndef SATCHEL_TESTS_FAULTS_REPORT_H
#define SATCHEL_TESTS_FAULTS_REPORT_H

extern long failures; /* problems so far */

/* Something is wrong with the library. */
void problem(const char *what, const char *detail);
/* Ends the program unless what a test stands on is fine. */
void must(int ok, const char *what);
void copy_file(const char *from, const char *to);

#endif
