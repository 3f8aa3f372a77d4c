// The vendor's profiler around what is done while this object lives (--profile). msprof --export reads the folder.
#pragma once

#include <string>

#include "acl.hpp"

// Left out of some toolkits; without it --profile says so.
#if __has_include(<acl/acl_prof.h>)
#include <acl/acl_prof.h>
#define HAS_ACLPROF 1
#endif

namespace app::acl {

class Profile {
public:
    // An empty folder: no profile. After the device is set, before the model is loaded.
    Profile(const std::string& folder, int device);
    ~Profile();
    Profile(const Profile&) = delete;
    Profile& operator=(const Profile&) = delete;

private:
    void stop() noexcept;
#ifdef HAS_ACLPROF
    bool initialised_ = false, started_ = false;
    aclprofConfig* config_ = nullptr;
#endif
};

}  // namespace app::acl
