#include "round_op.hpp"

#include "half.hpp"

namespace cannsim {

RoundOp::RoundOp(const ov::Output<ov::Node>& value, bool bfloat) : Op({value}), bfloat_(bfloat) {
    constructor_validate_and_infer_types();
}

void RoundOp::validate_and_infer_types() {
    set_output_type(0, get_input_element_type(0), get_input_partial_shape(0));
}

std::shared_ptr<ov::Node> RoundOp::clone_with_new_inputs(const ov::OutputVector& inputs) const {
    return std::make_shared<RoundOp>(inputs.at(0), bfloat_);
}

bool RoundOp::visit_attributes(ov::AttributeVisitor& visitor) {
    visitor.on_attribute("bfloat", bfloat_);
    return true;
}

bool RoundOp::evaluate(ov::TensorVector& outputs, const ov::TensorVector& inputs) const {
    outputs[0].set_shape(inputs[0].get_shape());
    const auto rounding = bfloat_ ? round_to_bfloat : round_to_half;
    rounding(inputs[0].data<float>(), outputs[0].data<float>(), inputs[0].get_size());
    return true;
}

}  // namespace cannsim
