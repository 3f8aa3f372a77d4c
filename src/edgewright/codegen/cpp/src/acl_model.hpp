// A loaded .om and what it says of itself.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "acl.hpp"
#include "task.hpp"

namespace app::acl {

// How a model built for several shapes is told which one comes: nothing, the batch, the picture's size, all sizes.
enum class Gears { none, batch, image, dims };

class Model {
public:
    explicit Model(const std::string& path);
    ~Model();
    Model(const Model&) = delete;
    Model& operator=(const Model&) = delete;

    std::uint32_t id() const { return id_; }
    std::size_t inputs() const { return aclmdlGetNumInputs(desc_); }
    std::size_t outputs() const { return aclmdlGetNumOutputs(desc_); }
    // The largest that this input or output can be.
    std::size_t input_bytes(std::size_t index) const { return aclmdlGetInputSizeByIndex(desc_, index); }
    std::size_t output_bytes(std::size_t index) const { return aclmdlGetOutputSizeByIndex(desc_, index); }
    Dtype input_dtype(std::size_t index) const;
    Dtype output_dtype(std::size_t index) const;
    // -1 where gears decide.
    std::vector<std::int64_t> input_shape(std::size_t index) const;
    // That of the gear in force.
    std::vector<std::int64_t> output_shape(std::size_t index) const;

    // The input that pictures go to. Failure where there are more.
    std::size_t input_index(const Port& port) const;
    // The vendor calls outputs "node:index:name": found by that name's end, else by `order`, else by `position`.
    std::size_t output_index(const std::string& name, const std::vector<std::string>& order, std::size_t position) const;

    Gears gears() const { return gears_; }
    const std::vector<std::int64_t>& batches() const { return batches_; }  // of Gears::batch, rising
    // Tells `inputs` which gear comes: `shape` is that of the picture input.
    void set_gear(const Dataset& inputs, const std::vector<std::int64_t>& shape, Order order) const;

private:
    std::string output_name(std::size_t index) const;
    void find_gears();

    std::uint32_t id_ = 0;
    aclmdlDesc* desc_ = nullptr;
    Gears gears_ = Gears::none;
    std::size_t gear_input_ = 0;
    std::vector<std::int64_t> batches_;
};

}  // namespace app::acl
