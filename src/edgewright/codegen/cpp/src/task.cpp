#include "task.hpp"

#include "task_data.hpp"

namespace app {

std::size_t size_of(Dtype dtype) {
    switch (dtype) {
        case Dtype::uint8: return 1;
        case Dtype::float16: return 2;
        case Dtype::float32: return 4;
        case Dtype::int32: return 4;
        case Dtype::int64: return 8;
    }
    return 0;
}

const Task& task() {
    static const Task data = task_data();
    return data;
}

}  // namespace app
