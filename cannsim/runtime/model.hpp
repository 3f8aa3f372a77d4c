// The loaded models, and the objects a program describes and feeds them with.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "device.hpp"
#include "engine.hpp"
#include "om_file.hpp"

struct aclDataBuffer {
    void* data;
    size_t size;
};

struct aclTensorDesc {
    aclDataType type;
    aclFormat format;
    cannsim::Dims dims;
    std::string name;
    std::vector<std::pair<int64_t, int64_t>> range;
};

struct aclmdlDataset {
    struct Entry {
        aclDataBuffer* buffer;
        aclTensorDesc* desc;
    };
    std::vector<Entry> entries;
    long gear = -1;  // -1: none set, the largest is taken
};

struct aclmdlDesc {
    std::shared_ptr<const cannsim::OmFile> om;
    uint32_t model_id = 0;
    std::vector<std::string> input_names, output_names;  // as handed out, long ones replaced
};

namespace cannsim {

struct Model {
    uint32_t id = 0;
    std::shared_ptr<const OmFile> om;
    std::unique_ptr<Engine> engine;
    std::weak_ptr<Context> context;
    size_t reserved_bytes = 0;
    std::mutex guard;
    size_t gear = 0;  // the present one; aclmdlGetCurOutputDims answers for it
    size_t runs = 0;
};

// The model, or null after recording 145003.
std::shared_ptr<Model> find_model(uint32_t id);
size_t loaded_models();
void unload_all_models();

// Inputs as the program sees them: network inputs, then the gear input, then the dynamic AIPP inputs.
std::string input_name(const OmFile& om, size_t index);
size_t dynamic_aipp_input(const OmFile& om, size_t for_input);  // index of the parameters' input

// Runs the model over both datasets; used by the synchronous and the asynchronous call.
aclError execute(Model& model, const aclmdlDataset& input, aclmdlDataset& output, int stream_id);
// Everything that can be refused before running.
aclError check_datasets(const Model& model, const aclmdlDataset* input, const aclmdlDataset* output);

}  // namespace cannsim
