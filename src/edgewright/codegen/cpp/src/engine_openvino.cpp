// The model on a CPU, through OpenVINO.
#include <openvino/openvino.hpp>

#include "clock.hpp"
#include "engine.hpp"
#include "failure.hpp"
#include "half.hpp"

namespace app {

namespace {

ov::AnyMap properties(const EngineData& data) {
    const bool throughput = data.hint == "throughput";
    ov::AnyMap found{ov::hint::performance_mode(throughput ? ov::hint::PerformanceMode::THROUGHPUT
                                                           : ov::hint::PerformanceMode::LATENCY)};
    if (data.threads > 0) found.insert(ov::inference_num_threads(data.threads));
    if (data.streams > 0) found.insert(ov::num_streams(data.streams));
    if (!data.precision.empty()) found.insert({ov::hint::inference_precision.name(), data.precision});
    return found;
}

class OpenVino final : public Engine {
public:
    OpenVino(const EngineData& data, const EngineOptions& options) : data_(data) {
        if (!options.profile.empty())
            throw Failure(Exit::usage, "--profile is for AscendCL; for OpenVINO there is benchmark_app.");
        auto model = core_.read_model(options.model);
        if (model->inputs().size() != 1) throw Failure(Exit::input, "The model must have one input, and has more.");
        ov::PartialShape shape = model->input().get_partial_shape();
        const auto& wanted = data.input.shape;
        for (std::size_t k = 0; k < wanted.size() && k < shape.size(); ++k)
            if (wanted[k] > 0) shape[static_cast<std::ptrdiff_t>(k)] = wanted[k];
        if (shape[0].is_dynamic()) shape[0] = 1;
        model->reshape(shape);
        compiled_ = core_.compile_model(model, "CPU", properties(data));
        request_ = compiled_.create_infer_request();
        input_ = request_.get_input_tensor();
        for (const Port& port : data.outputs) results_.push_back(request_.get_tensor(compiled_.output(port.name)));
        converted_.resize(results_.size());
    }

    int batch() const override { return static_cast<int>(input_.get_shape()[0]); }
    std::byte* sample(int index) override {
        return static_cast<std::byte*>(input_.data()) + static_cast<std::size_t>(index) * sample_bytes();
    }
    std::size_t sample_bytes() const override { return input_.get_byte_size() / input_.get_shape()[0]; }

    Dtype input_dtype() const override {
        const auto type = input_.get_element_type();
        if (type == ov::element::f32) return Dtype::float32;
        if (type == ov::element::f16) return Dtype::float16;
        if (type == ov::element::u8) return Dtype::uint8;
        throw Failure(Exit::input, "The model's input is of the type " + type.get_type_name() + ", which pictures do not become.");
    }

    RunTimes run(int) override {
        RunTimes times;
        Clock clock;
        request_.infer();
        times.execute = clock.lap();
        for (std::size_t k = 0; k < results_.size(); ++k) {
            results_[k] = request_.get_tensor(compiled_.output(data_.outputs[k].name));
            if (results_[k].get_element_type() == ov::element::f16) widen(k);
        }
        times.to_host = clock.lap();
        return times;
    }

    OutputBatch output(std::size_t index) const override {
        const ov::Tensor& tensor = results_.at(index);
        const bool half = tensor.get_element_type() == ov::element::f16;
        if (!half && tensor.get_element_type() != ov::element::f32)
            throw Failure(Exit::device, "The output '" + data_.outputs[index].name + "' is neither fp32 nor fp16.");
        const auto& shape = tensor.get_shape();
        return {half ? converted_[index].data() : static_cast<const float*>(tensor.data()), {shape.begin(), shape.end()}};
    }

    std::string runtime() const override { return std::string("OpenVINO ") + ov::get_openvino_version().buildNumber; }

private:
    void widen(std::size_t index) {
        const auto* from = static_cast<const Half*>(results_[index].data());
        auto& to = converted_[index];
        to.resize(results_[index].get_size());
        for (std::size_t k = 0; k < to.size(); ++k) to[k] = from_half(from[k]);
    }

    const EngineData& data_;
    ov::Core core_;
    ov::CompiledModel compiled_;
    ov::InferRequest request_;
    ov::Tensor input_;
    std::vector<ov::Tensor> results_;
    std::vector<std::vector<float>> converted_;
};

}  // namespace

std::unique_ptr<Engine> open_engine(const EngineData& data, const EngineOptions& options) {
    try {
        return std::make_unique<OpenVino>(data, options);
    } catch (const ov::Exception& error) {
        // OpenVINO's messages hold its own source lines; the sentence a reader needs is the last one.
        std::string text = error.what();
        while (!text.empty() && text.back() == '\n') text.pop_back();
        text.erase(0, text.find_last_of('\n') + 1);
        throw Failure(Exit::input, options.model + " cannot be run by OpenVINO: " + text);
    }
}

}  // namespace app
