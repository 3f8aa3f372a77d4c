// The logs a device would keep: a plog file a process, and stdout when ASCEND_SLOG_PRINT_TO_STDOUT=1.
#pragma once

#include <string>

#include "acl/acl_base.h"

namespace cannsim {

// Level as ASCEND_GLOBAL_LOG_LEVEL counts: 0 debug, 1 info, 2 warning, 3 error (the default).
void trace(int level, const std::string& text);
void trace_error(aclError code, const char* tag, const std::string& message);

}  // namespace cannsim
