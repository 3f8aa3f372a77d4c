# AscendCL of CANN 8.x (libascendcl) or 9.x (libacl_rt and libacl_mdl): the target ascendcl::ascendcl.
#
# Looked for below ASCEND_HOME_PATH, ASCEND_TOOLKIT_HOME or DDK_PATH (set_env.sh sets them), then where the vendor
# installs it, then in `.cann` beside this project, where the stand-in is put. ASCEND_INCLUDE_DIR and ASCEND_LIBRARY_DIR name the places directly, as a cross build does.
set(ASCEND_INCLUDE_DIR "" CACHE PATH "The folder that holds acl/acl.h")
set(ASCEND_LIBRARY_DIR "" CACHE PATH "The folder that holds libascendcl.so, or libacl_rt.so and libacl_mdl.so")

set(roots $ENV{ASCEND_HOME_PATH} $ENV{ASCEND_TOOLKIT_HOME} $ENV{DDK_PATH}
    /usr/local/Ascend/ascend-toolkit/latest /usr/local/Ascend/cann
    ${CMAKE_CURRENT_SOURCE_DIR}/../.cann/ascend-toolkit/latest ${CMAKE_CURRENT_SOURCE_DIR}/../.cann/cann)
set(include_dirs ${ASCEND_INCLUDE_DIR})
set(library_dirs ${ASCEND_LIBRARY_DIR} $ENV{NPU_HOST_LIB})
foreach(root IN LISTS roots)
    list(APPEND include_dirs ${root}/include ${root}/${CMAKE_SYSTEM_PROCESSOR}-linux/include ${root}/runtime/include)
    # devlib and stub hold libraries to link with, not to run with. Folders without a processor's name are the building
    # machine's, unless the root is itself that of the processor which will run the program.
    set(processor ${CMAKE_SYSTEM_PROCESSOR}-linux)
    if(NOT CMAKE_CROSSCOMPILING OR root MATCHES "/${processor}(/|$)")
        list(APPEND library_dirs ${root}/lib64 ${root}/${processor}/lib64 ${root}/devlib ${root}/${processor}/devlib
            ${root}/runtime/lib64/stub)
    else()
        list(APPEND library_dirs ${root}/${processor}/lib64 ${root}/${processor}/devlib)
    endif()
endforeach()

find_path(ACL_HEADERS acl/acl.h PATHS ${include_dirs} NO_DEFAULT_PATH NO_CMAKE_FIND_ROOT_PATH)
find_library(ACL_WHOLE ascendcl PATHS ${library_dirs} NO_DEFAULT_PATH NO_CMAKE_FIND_ROOT_PATH)
find_library(ACL_RUNTIME acl_rt PATHS ${library_dirs} NO_DEFAULT_PATH NO_CMAKE_FIND_ROOT_PATH)
find_library(ACL_MODEL acl_mdl PATHS ${library_dirs} NO_DEFAULT_PATH NO_CMAKE_FIND_ROOT_PATH)
if(ACL_WHOLE)
    set(acl_libraries ${ACL_WHOLE})
elseif(ACL_RUNTIME AND ACL_MODEL)
    set(acl_libraries ${ACL_MODEL} ${ACL_RUNTIME})
endif()
if(NOT ACL_HEADERS OR NOT acl_libraries)
    message(FATAL_ERROR "CANN is not found below '${roots}'. Source its set_env.sh, or set ASCEND_INCLUDE_DIR and ASCEND_LIBRARY_DIR.")
endif()
message(STATUS "AscendCL: ${acl_libraries}")

add_library(ascendcl::ascendcl INTERFACE IMPORTED)
target_include_directories(ascendcl::ascendcl SYSTEM INTERFACE ${ACL_HEADERS})
# What these libraries need in turn is on the device; and the loader must find the device's own through
# LD_LIBRARY_PATH (set_env.sh), never a library that was only there to link with.
target_link_libraries(ascendcl::ascendcl INTERFACE ${acl_libraries} -Wl,--allow-shlib-undefined)
set_target_properties(predict PROPERTIES SKIP_BUILD_RPATH ON)
