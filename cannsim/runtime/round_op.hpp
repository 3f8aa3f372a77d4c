// An OpenVINO operation that rounds float to half (or bfloat) precision and keeps it in float.
#pragma once

#include <openvino/op/op.hpp>

namespace cannsim {

class RoundOp : public ov::op::Op {
public:
    OPENVINO_OP("RoundHalf", "cannsim")

    RoundOp() = default;
    RoundOp(const ov::Output<ov::Node>& value, bool bfloat);
    void validate_and_infer_types() override;
    std::shared_ptr<ov::Node> clone_with_new_inputs(const ov::OutputVector& inputs) const override;
    bool visit_attributes(ov::AttributeVisitor& visitor) override;
    bool has_evaluate() const override { return true; }
    bool evaluate(ov::TensorVector& outputs, const ov::TensorVector& inputs) const override;

private:
    bool bfloat_ = false;
};

}  // namespace cannsim
