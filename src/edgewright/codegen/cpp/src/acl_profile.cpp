#include "acl_profile.hpp"

#include <dlfcn.h>

#include <filesystem>

#include "failure.hpp"

namespace app::acl {

#ifdef HAS_ACLPROF

namespace {

// These functions live in libascendcl in some versions and in libraries of their own in others, so they are looked
// up when they are asked for: a program that does not profile needs none of them.
template <typename Function>
Function* find(const char* name) {
    void* found = dlsym(RTLD_DEFAULT, name);
    for (const char* library : {"libmsprofiler.so", "libacl_prof.so"}) {
        if (found != nullptr) break;
        if (void* handle = dlopen(library, RTLD_NOW | RTLD_GLOBAL)) found = dlsym(handle, name);
    }
    if (found == nullptr) throw Failure(Exit::device, std::string("This CANN has no ") + name + ": --profile needs it.");
    return reinterpret_cast<Function*>(found);
}

}  // namespace

Profile::Profile(const std::string& folder, int device) {
    if (folder.empty()) return;
    std::filesystem::create_directories(folder);
    // The vendor's parser refuses what others can write to.
    std::filesystem::permissions(folder, std::filesystem::perms::owner_all | std::filesystem::perms::group_read |
                                             std::filesystem::perms::group_exec);
    const std::string absolute = std::filesystem::absolute(folder).string();
    try {
        check(find<decltype(aclprofInit)>("aclprofInit")(absolute.c_str(), absolute.size()), "aclprofInit");
        initialised_ = true;
        auto number = static_cast<std::uint32_t>(device);
        config_ = find<decltype(aclprofCreateConfig)>("aclprofCreateConfig")(
            &number, 1, ACL_AICORE_PIPE_UTILIZATION, nullptr,
            ACL_PROF_ACL_API | ACL_PROF_TASK_TIME | ACL_PROF_AICORE_METRICS);
        if (config_ == nullptr) throw Failure(Exit::device, "aclprofCreateConfig gave nothing.");
        check(find<decltype(aclprofStart)>("aclprofStart")(config_), "aclprofStart");
        started_ = true;
    } catch (...) {
        stop();
        throw;
    }
}

void Profile::stop() noexcept {
    if (started_) released(find<decltype(aclprofStop)>("aclprofStop")(config_), "aclprofStop");
    if (config_ != nullptr)
        released(find<decltype(aclprofDestroyConfig)>("aclprofDestroyConfig")(config_), "aclprofDestroyConfig");
    if (initialised_) released(find<decltype(aclprofFinalize)>("aclprofFinalize")(), "aclprofFinalize");
}

#else

Profile::Profile(const std::string& folder, int) {
    if (!folder.empty()) throw Failure(Exit::usage, "This program was built without acl_prof.h: there is no --profile.");
}

void Profile::stop() noexcept {}

#endif

Profile::~Profile() { stop(); }

}  // namespace app::acl
