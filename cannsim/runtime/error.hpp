// What went wrong, as the caller's thread will read it back with aclGetRecentErrMsg.
#pragma once

#include <string>

#include "acl/acl_base.h"

namespace cannsim {

// Records one block in the vendor's present format and returns `code`, so that a failing call is one statement.
// `tag` is a code of the vendor's table (EH0001 …), `title` its heading there.
aclError fail(aclError code, const char* tag, const char* title, const std::string& message);

// The cases met again and again, in the vendor's words.
aclError null_argument(const char* name);                                                        // EH0002, 100000
aclError bad_value(const std::string& value, const char* parameter, const std::string& reason);  // EH0001, 100000
aclError runtime_fault(aclError code, const std::string& message);                               // EE1001
aclError driver_fault(aclError code, const char* tag, const char* title, const std::string& message);
aclError model_fault(uint32_t code, const std::string& message);                                 // EH0004 and GE codes

}  // namespace cannsim
