/* Brings the installed header of the library into the module CSatchel. */
#ifndef SATCHEL_SWIFT_SHIM_H
#define SATCHEL_SWIFT_SHIM_H

#include <satchel.h>

#endif
