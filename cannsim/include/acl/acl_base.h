/* Types and errors shared by the runtime half and the model half. */
#ifndef CANNSIM_ACL_BASE_H
#define CANNSIM_ACL_BASE_H

#include "acl_base_mdl.h"
#include "acl_base_rt.h"
#include "error_codes/ge_error_codes.h"
#include "error_codes/rt_error_codes.h"

#endif
