// The model on an Ascend device, through AscendCL.
//
// Where the program runs on the board itself (run mode "device", as on an Atlas 200I DK A2) pictures are prepared in
// the very memory that the model reads. On a host with a card they are prepared in pinned memory and copied.
#include <algorithm>
#include <cstdint>
#include <numeric>

#include "acl.hpp"
#include "acl_model.hpp"
#include "acl_profile.hpp"
#include "clock.hpp"
#include "engine.hpp"
#include "failure.hpp"
#include "half.hpp"

namespace app {

namespace {

std::size_t product(const std::vector<std::int64_t>& shape) {
    return static_cast<std::size_t>(std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>()));
}

class AscendCl final : public Engine {
public:
    AscendCl(const EngineData& data, const EngineOptions& options)
        : data_(data), device_(options.device), profile_(options.profile, options.device), model_(options.model) {
        find_input();
        for (std::size_t k = 0; k < model_.inputs(); ++k) add(inputs_, input_memory_, model_.input_bytes(k));
        for (std::size_t k = 0; k < model_.outputs(); ++k) add(outputs_, output_memory_, model_.output_bytes(k));
        if (!device_.shares_memory()) staged_input_.emplace_back(model_.input_bytes(input_));
        for (std::size_t k = 0; k < data.outputs.size(); ++k) {
            Result result{model_.output_index(data.outputs[k].name, data.output_order, k), Dtype::float32, {}, {}};
            result.dtype = model_.output_dtype(result.index);
            if (result.dtype != Dtype::float32 && result.dtype != Dtype::float16)
                throw Failure(Exit::input, "The output '" + data.outputs[k].name + "' is neither fp32 nor fp16.");
            if (!device_.shares_memory()) staged_output_.emplace_back(model_.output_bytes(result.index));
            results_.push_back(std::move(result));
        }
        choose_gear(batch_);
    }

    int batch() const override { return static_cast<int>(batch_); }
    std::size_t sample_bytes() const override { return sample_bytes_; }
    Dtype input_dtype() const override { return model_.input_dtype(input_); }
    std::byte* sample(int index) override {
        std::byte* const start = device_.shares_memory() ? input_memory_[input_].data() : staged_input_[0].data();
        return start + static_cast<std::size_t>(index) * sample_bytes_;
    }

    RunTimes run(int samples) override {
        RunTimes times;
        Clock clock;
        choose_gear(samples);
        if (!device_.shares_memory()) {
            const acl::DeviceMemory& to = input_memory_[input_];
            acl::check(aclrtMemcpy(to.data(), to.size(), staged_input_[0].data(), sample_bytes_ * static_cast<std::size_t>(gear_),
                                   ACL_MEMCPY_HOST_TO_DEVICE),
                       "aclrtMemcpy");
        }
        times.to_device = clock.lap();
        acl::check(aclmdlExecute(model_.id(), inputs_.get(), outputs_.get()), "aclmdlExecute");
        times.execute = clock.lap();
        for (std::size_t k = 0; k < results_.size(); ++k) fetch(k);
        times.to_host = clock.lap();
        return times;
    }

    OutputBatch output(std::size_t index) const override {
        const Result& result = results_.at(index);
        const auto* plain = reinterpret_cast<const float*>(host_data(index));
        return {result.dtype == Dtype::float16 ? result.widened.data() : plain, result.shape};
    }

    std::string runtime() const override {
        const char* chip = aclrtGetSocName();
        return std::string("AscendCL ") + (chip == nullptr ? "on an unknown chip" : chip);
    }

private:
    struct Result {  // one output of the task
        std::size_t index;
        Dtype dtype;
        std::vector<std::int64_t> shape;
        std::vector<float> widened;  // where the model gives fp16
    };

    static void add(acl::Dataset& side, std::vector<acl::DeviceMemory>& memory, std::size_t bytes) {
        memory.emplace_back(bytes);
        side.add(memory.back());
    }

    void find_input() {
        input_ = model_.input_index(data_.input);
        shape_ = model_.input_shape(input_);
        // Gears leave -1 where the task's own shape says which one is wanted.
        for (std::size_t k = 1; k < shape_.size(); ++k)
            if (shape_[k] < 0 && k < data_.input.shape.size()) shape_[k] = data_.input.shape[k];
        if (model_.gears() == acl::Gears::batch) shape_[0] = model_.batches().back();
        else if (shape_.at(0) < 0) shape_[0] = std::max<std::int64_t>(1, data_.input.shape.at(0));
        batch_ = shape_[0];
        // Sizes come from the model, never from dimensions: with AIPP the two may differ. Only a gear below the
        // largest has no size of its own, and then the dimensions are those of the picture.
        const bool largest = model_.gears() == acl::Gears::none || model_.gears() == acl::Gears::batch;
        sample_bytes_ = (largest ? model_.input_bytes(input_) : product(shape_) * size_of(input_dtype())) /
                        static_cast<std::size_t>(batch_);
    }

    // The smallest gear that takes so many samples; what it holds beyond them is whatever was there before.
    void choose_gear(std::int64_t samples) {
        std::int64_t wanted = batch_;
        if (model_.gears() == acl::Gears::batch)
            wanted = *std::lower_bound(model_.batches().begin(), model_.batches().end(), samples);
        if (model_.gears() != acl::Gears::none) {
            shape_[0] = wanted;
            const bool channels_last = data_.input.shape.size() == 4 && data_.input.shape[3] <= 4;
            model_.set_gear(inputs_, shape_, channels_last ? Order::nhwc : Order::nchw);
        }
        if (gear_ == wanted) return;
        gear_ = wanted;
        for (Result& result : results_) result.shape = model_.output_shape(result.index);
    }

    const std::byte* host_data(std::size_t k) const {
        return device_.shares_memory() ? output_memory_[results_[k].index].data() : staged_output_[k].data();
    }

    void fetch(std::size_t k) {
        Result& result = results_[k];
        const std::size_t values = product(result.shape), bytes = values * size_of(result.dtype);
        const acl::DeviceMemory& from = output_memory_[result.index];
        if (bytes > from.size()) throw Failure(Exit::device, "An output is larger than the model said.");
        if (!device_.shares_memory())
            acl::check(aclrtMemcpy(staged_output_[k].data(), staged_output_[k].size(), from.data(), bytes,
                                   ACL_MEMCPY_DEVICE_TO_HOST),
                       "aclrtMemcpy");
        if (result.dtype != Dtype::float16) return;
        const auto* halves = reinterpret_cast<const Half*>(host_data(k));
        result.widened.resize(values);
        std::transform(halves, halves + values, result.widened.begin(), from_half);
    }

    // Members are released from the last to the first: buffers and datasets, memory, the model, the profile, the
    // device, the library. That is the vendor's order.
    const EngineData& data_;
    acl::Library library_;
    acl::Device device_;
    acl::Profile profile_;
    acl::Model model_;
    std::vector<acl::HostMemory> staged_input_, staged_output_;
    std::vector<acl::DeviceMemory> input_memory_, output_memory_;
    acl::Dataset inputs_, outputs_;
    std::vector<Result> results_;
    std::size_t input_ = 0, sample_bytes_ = 0;
    std::int64_t batch_ = 1, gear_ = 0;
    std::vector<std::int64_t> shape_;
};

}  // namespace

std::unique_ptr<Engine> open_engine(const EngineData& data, const EngineOptions& options) {
    return std::make_unique<AscendCl>(data, options);
}

}  // namespace app
