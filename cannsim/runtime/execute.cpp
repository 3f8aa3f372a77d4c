// One run: check what was given, AIPP, the network, the account of what it took.
#include <cstring>
#include <thread>

#include "error.hpp"
#include "load.hpp"
#include "memory.hpp"
#include "model.hpp"
#include "parameters.hpp"
#include "profile.hpp"

namespace cannsim {
namespace {

size_t gear_of(const Model& model, const aclmdlDataset& input) {
    if (model.om->gears.empty()) return 0;
    return input.gear < 0 ? model.om->largest_gear() : static_cast<size_t>(input.gear);
}

const Dims& dims_of(const OmFile& om, size_t gear, size_t input) {
    return om.gears.empty() ? om.inputs[input].dims : om.gears[gear].inputs[input];
}

// Bytes input `index` must bring at this gear; for dynamic AIPP the picture's size is only known with its parameters.
size_t needed_bytes(const OmFile& om, size_t gear, size_t index) {
    if (index >= om.inputs.size()) return om.input_bytes(index);
    const AippSettings* const settings = om.aipp_of(index);
    const Dims& dims = dims_of(om, gear, index);
    if (settings == nullptr) return element_count(dims) * element_size(om.inputs[index].type);
    return settings->dynamic ? 0 : source_bytes(*settings, dims);
}

// The parameters for input `index`: compiled in, or read from their own input.
aclError parameters_of(const OmFile& om, const aclmdlDataset& input, size_t index, size_t batch, AippParameters* found) {
    const AippSettings& settings = *om.aipp_of(index);
    if (!settings.dynamic) {
        found->settings = settings;
        found->pictures.assign(batch, settings.picture);
        return ACL_SUCCESS;
    }
    const aclDataBuffer& buffer = *input.entries[dynamic_aipp_input(om, index)].buffer;
    const void* const memory = reach(buffer.data, aipp_parameter_bytes(batch));
    if (memory == nullptr || !unpack_parameters(memory, batch, found)) {
        return model_fault(ACL_ERROR_GE_AIPP_NOT_EXIST, "Dynamic AIPP has no parameters: call aclmdlSetInputAIPP before the run.");
    }
    return ACL_SUCCESS;
}

aclError apply_aipp(const OmFile& om, const aclmdlDataset& input, size_t index, const Dims& network,
                    const uint8_t* raw, size_t raw_size, std::vector<float>* planes) {
    const auto batch = static_cast<size_t>(network[0]);
    AippParameters parameters;
    if (const aclError error = parameters_of(om, input, index, batch, &parameters); error != ACL_SUCCESS) return error;
    const int64_t width = source_width(parameters.settings, network);
    const int64_t height = source_height(parameters.settings, network);
    const size_t one = picture_bytes(parameters.settings.format, width, height);
    if (one == 0 || one * batch > raw_size) {
        return model_fault(ACL_ERROR_GE_PARAM_INVALID, "The picture's buffer is smaller than its format and size ask for.");
    }
    planes->resize(element_count(network));
    const size_t step = planes->size() / batch;
    for (size_t at = 0; at < batch; ++at) {
        const std::string why = run_aipp(parameters.settings, parameters.pictures[at], raw + at * one, width, height,
                                         network[1], network[2], network[3], planes->data() + at * step);
        if (!why.empty()) return fail(static_cast<aclError>(ACL_ERROR_GE_PARAM_INVALID), "EH0005", "Invalid_AIPP_Argument", "AIPP argument is invalid. Reason: " + why + ".");
    }
    return ACL_SUCCESS;
}

aclError gather_inputs(const Model& model, const aclmdlDataset& input, size_t gear,
                       std::vector<std::vector<float>>* planes, std::vector<void*>* addresses) {
    const OmFile& om = *model.om;
    planes->resize(om.inputs.size());
    for (size_t index = 0; index < om.inputs.size(); ++index) {
        const aclDataBuffer& buffer = *input.entries[index].buffer;
        void* const memory = reach(buffer.data, buffer.size);
        if (memory == nullptr) {
            return runtime_fault(ACL_ERROR_RT_INVALID_MEMORY_TYPE, "input " + std::to_string(index) + " is no device memory, or less than its size");
        }
        if (om.aipp_of(index) == nullptr) {
            addresses->push_back(memory);
            continue;
        }
        const aclError error = apply_aipp(om, input, index, dims_of(om, gear, index), static_cast<const uint8_t*>(memory),
                                          buffer.size, &(*planes)[index]);
        if (error != ACL_SUCCESS) return error;
        addresses->push_back((*planes)[index].data());
    }
    return ACL_SUCCESS;
}

aclError gather_outputs(const Model& model, aclmdlDataset& output, std::vector<void*>* addresses) {
    const OmFile& om = *model.om;
    for (size_t index = 0; index < om.outputs.size(); ++index) {
        aclDataBuffer& buffer = *output.entries[index].buffer;
        if (buffer.data == nullptr) {  // (nullptr, 0): the runtime allocates, the program frees
            buffer.size = om.output_bytes(index);
            if (aclrtMalloc(&buffer.data, buffer.size, ACL_MEM_MALLOC_HUGE_FIRST) != ACL_SUCCESS) return ACL_ERROR_RT_MEMORY_ALLOCATION;
        }
        void* const memory = reach(buffer.data, buffer.size);
        if (memory == nullptr) {
            return runtime_fault(ACL_ERROR_RT_INVALID_MEMORY_TYPE, "output " + std::to_string(index) + " is no device memory, or less than its size");
        }
        addresses->push_back(memory);
    }
    return ACL_SUCCESS;
}

}  // namespace

aclError check_datasets(const Model& model, const aclmdlDataset* input, const aclmdlDataset* output) {
    if (input == nullptr) return null_argument("input");
    if (output == nullptr) return null_argument("output");
    const OmFile& om = *model.om;
    if (input->entries.size() != om.input_count()) {
        return bad_value(std::to_string(input->entries.size()), "input", "the model has " + std::to_string(om.input_count()) + " inputs, those of gears and AIPP counted");
    }
    if (output->entries.size() != om.outputs.size()) {
        return bad_value(std::to_string(output->entries.size()), "output", "the model has " + std::to_string(om.outputs.size()) + " outputs");
    }
    const size_t gear = gear_of(model, *input);
    if (gear >= om.gears.size() && !om.gears.empty()) return bad_value(std::to_string(gear), "input", "its gear is another model's");
    for (size_t index = 0; index < input->entries.size(); ++index) {
        const aclDataBuffer& buffer = *input->entries[index].buffer;
        if (buffer.data == nullptr || buffer.size == 0) return bad_value("null", "input", "buffer " + std::to_string(index) + " is empty");
        const size_t needed = needed_bytes(om, gear, index);
        if (buffer.size < needed) {
            return model_fault(ACL_ERROR_GE_PARAM_INVALID, "Input " + std::to_string(index) + " has " + std::to_string(buffer.size) + " bytes, the model needs " + std::to_string(needed) + ".");
        }
    }
    for (size_t index = 0; index < output->entries.size(); ++index) {
        const aclDataBuffer& buffer = *output->entries[index].buffer;
        const Dims& dims = om.gears.empty() ? om.outputs[index].dims : om.gears[gear].outputs[index];
        const size_t needed = element_count(dims) * element_size(om.outputs[index].type);
        if (buffer.data != nullptr && buffer.size < needed) {
            return model_fault(ACL_ERROR_GE_PARAM_INVALID, "Output " + std::to_string(index) + " has " + std::to_string(buffer.size) + " bytes, the model gives " + std::to_string(needed) + ".");
        }
    }
    return ACL_SUCCESS;
}

aclError execute(Model& model, const aclmdlDataset& input, aclmdlDataset& output, int stream_id) {
    const std::lock_guard<std::mutex> lock(model.guard);
    const size_t gear = gear_of(model, input);
    std::vector<std::vector<float>> planes;
    std::vector<void*> inputs;
    std::vector<void*> outputs;
    if (const aclError error = gather_inputs(model, input, gear, &planes, &inputs); error != ACL_SUCCESS) return error;
    if (const aclError error = gather_outputs(model, output, &outputs); error != ACL_SUCCESS) return error;
    std::vector<OpTime> times;
    const auto wall = std::chrono::system_clock::now();
    const auto start = std::chrono::steady_clock::now();
    try {
        model.engine->run(gear, inputs, outputs, profiling() ? &times : nullptr);
    } catch (const std::exception& failure) {
        return fail(ACL_ERROR_RT_MODEL_EXECUTE, "E19999", "Inner_Error", std::string("The network failed: ") + failure.what());
    }
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (const double extra = throttle_delay(seconds); extra > 0) std::this_thread::sleep_for(std::chrono::duration<double>(extra));
    publish_busy(seconds);
    model.gear = gear;
    profile_run(model.id, model.runs++, stream_id, *model.om, wall, seconds, times);
    return ACL_SUCCESS;
}

}  // namespace cannsim

using namespace cannsim;

namespace {

std::shared_ptr<Model> ready_model(uint32_t model_id, const aclmdlDataset* input, const aclmdlDataset* output, aclError* error) {
    const auto context = current_context();
    if (context == nullptr) {
        *error = ACL_ERROR_RT_CONTEXT_NULL;
        return nullptr;
    }
    auto model = find_model(model_id);
    if (model == nullptr) {
        *error = static_cast<aclError>(ACL_ERROR_GE_EXEC_MODEL_ID_INVALID);
        return nullptr;
    }
    if (model->context.lock() != context) {
        *error = runtime_fault(ACL_ERROR_RT_MODEL_CONTEXT, "the model was loaded in another context");
        return nullptr;
    }
    *error = check_datasets(*model, input, output);
    return *error == ACL_SUCCESS ? model : nullptr;
}

}  // namespace

extern "C" {

aclError aclmdlExecute(uint32_t modelId, const aclmdlDataset* input, aclmdlDataset* output) {
    const Timed timed("aclmdlExecute");
    aclError error = ACL_SUCCESS;
    const auto model = ready_model(modelId, input, output, &error);
    return model == nullptr ? error : execute(*model, *input, *output, 0);
}

aclError aclmdlExecuteAsync(uint32_t modelId, const aclmdlDataset* input, aclmdlDataset* output, aclrtStream stream) {
    const Timed timed("aclmdlExecuteAsync");
    aclError error = ACL_SUCCESS;
    const auto model = ready_model(modelId, input, output, &error);
    if (model == nullptr) return error;
    const auto queue = find_stream(stream, &error);
    if (queue == nullptr) return error;
    for (const auto& entry : output->entries) {
        if (entry.buffer->data == nullptr) return bad_value("null", "output", "an asynchronous run needs output memory");
    }
    const long gear = input->gear;  // the program may set another one before this run begins
    queue->push([model, input, output, gear, id = queue->id()] {
        aclmdlDataset now = *input;
        now.gear = gear;
        for (auto& entry : now.entries) entry.desc = nullptr;
        return execute(*model, now, *output, id);
    });
    return ACL_SUCCESS;
}

}  // extern "C"
