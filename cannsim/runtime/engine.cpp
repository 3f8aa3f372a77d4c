#include "engine.hpp"

#include <dlfcn.h>

#include <cstdlib>
#include <map>
#include <openvino/op/convert.hpp>
#include <openvino/openvino.hpp>

#include "round_op.hpp"

namespace cannsim {
namespace {

ov::element::Type element_of(aclDataType type) {
    switch (type) {
        case ACL_FLOAT: return ov::element::f32;
        case ACL_FLOAT16: return ov::element::f16;
        case ACL_BF16: return ov::element::bf16;
        case ACL_INT8: return ov::element::i8;
        case ACL_UINT8: return ov::element::u8;
        case ACL_INT16: return ov::element::i16;
        case ACL_UINT16: return ov::element::u16;
        case ACL_INT32: return ov::element::i32;
        case ACL_UINT32: return ov::element::u32;
        case ACL_INT64: return ov::element::i64;
        case ACL_UINT64: return ov::element::u64;
        case ACL_DOUBLE: return ov::element::f64;
        case ACL_BOOL: return ov::element::boolean;
        default: throw std::runtime_error("data type " + std::to_string(type) + " cannot run here");
    }
}

ov::Core& core() {
    // OpenVINO's threading library opens a part of itself in a way that AddressSanitizer forbids, unless told of it.
    if (dlsym(RTLD_DEFAULT, "__asan_init") != nullptr) setenv("TBB_ENABLE_SANITIZERS", "1", 0);
    static ov::Core shared;
    return shared;
}

// atc writes a rounding as float -> float16 -> float. OpenVINO's CPU plugin computes half precision in float and would
// drop both casts, so each pair becomes an operation of ours that it must run.
void keep_roundings(const std::shared_ptr<ov::Model>& model) {
    for (const auto& node : model->get_ordered_ops()) {
        const auto back = std::dynamic_pointer_cast<ov::op::v0::Convert>(node);
        if (back == nullptr || back->get_destination_type() != ov::element::f32) continue;
        const auto there = std::dynamic_pointer_cast<ov::op::v0::Convert>(back->get_input_node_shared_ptr(0));
        if (there == nullptr || there->get_input_element_type(0) != ov::element::f32) continue;
        const auto narrow = there->get_destination_type();
        if (narrow != ov::element::f16 && narrow != ov::element::bf16) continue;
        const auto rounding = std::make_shared<RoundOp>(there->input_value(0), narrow == ov::element::bf16);
        rounding->set_friendly_name(back->get_friendly_name());
        rounding->output(0).set_names(back->output(0).get_names());
        back->output(0).replace(rounding->output(0));
    }
}

int wanted_threads() {
    const char* const text = std::getenv("CANNSIM_THREADS");
    return text == nullptr ? 0 : std::atoi(text);
}

}  // namespace

struct Engine::Parts {
    std::shared_ptr<const OmFile> om;
    std::shared_ptr<ov::Model> model;
    std::map<size_t, ov::InferRequest> requests;
};

Engine::Engine(std::shared_ptr<const OmFile> om) : parts_(std::make_unique<Parts>()) {
    parts_->om = std::move(om);
    parts_->model = core().read_model(parts_->om->network, ov::Tensor());
    if (parts_->model->inputs().size() != parts_->om->inputs.size() ||
        parts_->model->outputs().size() != parts_->om->outputs.size()) {
        throw std::runtime_error("the network and its description disagree");
    }
    keep_roundings(parts_->model);
}

Engine::~Engine() = default;

void Engine::prepare(size_t gear) {
    if (parts_->requests.count(gear) > 0) return;
    auto model = parts_->model->clone();
    if (!parts_->om->gears.empty()) {
        std::map<size_t, ov::PartialShape> shapes;
        const auto& dims = parts_->om->gears.at(gear).inputs;
        for (size_t index = 0; index < dims.size(); ++index) {
            shapes[index] = ov::PartialShape(std::vector<ov::Dimension>(dims[index].begin(), dims[index].end()));
        }
        model->reshape(shapes);
    }
    ov::AnyMap settings{ov::hint::inference_precision(ov::element::f32),  // bf16 would be chosen silently otherwise
                        ov::hint::performance_mode(ov::hint::PerformanceMode::LATENCY), ov::enable_profiling(true)};
    if (wanted_threads() > 0) settings.insert(ov::inference_num_threads(wanted_threads()));
    parts_->requests[gear] = core().compile_model(model, "CPU", settings).create_infer_request();
}

void Engine::run(size_t gear, const std::vector<void*>& inputs, const std::vector<void*>& outputs, std::vector<OpTime>* times) {
    prepare(gear);
    auto& request = parts_->requests.at(gear);
    const OmFile& om = *parts_->om;
    const auto shape_of = [](const Dims& dims) { return ov::Shape(dims.begin(), dims.end()); };
    for (size_t index = 0; index < inputs.size(); ++index) {
        const Dims& dims = om.gears.empty() ? om.inputs[index].dims : om.gears[gear].inputs[index];
        request.set_input_tensor(index, ov::Tensor(element_of(om.inputs[index].type), shape_of(dims), inputs[index]));
    }
    for (size_t index = 0; index < outputs.size(); ++index) {
        const Dims& dims = om.gears.empty() ? om.outputs[index].dims : om.gears[gear].outputs[index];
        request.set_output_tensor(index, ov::Tensor(element_of(om.outputs[index].type), shape_of(dims), outputs[index]));
    }
    request.infer();
    if (times == nullptr) return;
    for (const auto& entry : request.get_profiling_info()) {
        if (entry.status != ov::ProfilingInfo::Status::EXECUTED) continue;
        times->push_back({entry.node_name, entry.node_type, entry.exec_type, static_cast<double>(entry.real_time.count())});
    }
}

}  // namespace cannsim
