/* The whole of the C interface this stand-in offers, under the name programs include. */
#ifndef CANNSIM_ACL_H
#define CANNSIM_ACL_H

#define CANNSIM 1 /* lets a program find out, at compile time, that this is no device */

#include "acl_mdl.h"
#include "acl_rt.h"

#endif
