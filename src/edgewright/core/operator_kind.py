"""What an operator does, whatever its profiler calls it: one small vocabulary over every tool's type names.

ONNX says `Conv`, OpenVINO `Convolution`, torch `aten::mkldnn_convolution`, Ascend `Conv2D`: all are
"convolution" here. Rules, the roofline and the report speak kinds, so that they work for all tools.
"""

from __future__ import annotations

import re
from types import MappingProxyType

KINDS = (
    "convolution",
    "matmul",
    "activation",
    "elementwise",
    "pooling",
    "normalisation",
    "reduction",
    "concat",
    "resize",
    "layout",
    "copy",
    "quantise",
    "boundary",
    "other",
)
"""boundary: inputs, outputs and constants, which cost nothing of their own."""

MOVES_DATA = frozenset({"concat", "resize", "layout", "copy"})
"""Kinds that compute nothing: what they cost is bytes moved."""

_TYPES = {
    "convolution": """
        conv convolution groupconvolution convtranspose convolutionbackpropdata deconvolution fusedconv
        qlinearconv convinteger nhwcfusedconv depthwiseconv2d depthwiseconv2dnative conv1d conv2d conv3d
        mkldnn_convolution _convolution convolution_overrideable thnn_conv2d conv2dtransposed depthwiseconv2dd
        conv2dcompress conv2dbackpropinput conv2dbackpropinputd conv2dbackpropfilter conv2dbackpropfilterd
        conv3dbackpropinput conv3dbackpropinputd conv3dtransposed
    """,
    "matmul": """
        matmul gemm fullyconnected fusedmatmul fusedgemm matmulinteger qlinearmatmul qgemm dynamicquantizematmul
        matmulintegertofloat matmulnbits batchmatmul batchmatmulv2 linear addmm mm bmm baddbmm mkldnn_linear
        attention multiheadattention qattention scaleddotproductattention scaled_dot_product_attention einsum
        lstm gru rnn matmulcompress weightquantbatchmatmul quantbatchmatmul groupedmatmul transposebatchmatmul
        flashattentionscore flashattentionscoregrad promptflashattention increflashattention fusedinferattentionscore
        dynamicrnn dynamicgru
    """,
    "activation": """
        relu prelu leakyrelu clip relu6 sigmoid hardsigmoid hardswish hswish silu swish swishcpu swiglu mish
        tanh gelu quickgelu fastgelu biasgelu elu selu celu softplus erf qlinearsigmoid qlinearleakyrelu
        leaky_relu hardtanh hardtanh_ threshold relu_ silu_ hardswish_ leaky_relu_ sigmoid_
        gelugrad sigmoidgrad relugrad hardsigmoidgrad fastgelugrad swishgrad silugrad
    """,
    "elementwise": """
        add sub mul div pow sqrt exp log neg abs min max minimum maximum where sign floor ceil round mod sin cos
        reciprocal realdiv addn fusedmuladd muladd power eltwise subgraph math compare equal greater less not
        and or xor greaterorequal lessorequal qlinearadd qlinearmul add_ mul_ sub_ div_ rsub biasadd clamp
        clamp_ masked_fill muls adds axpy inplaceadd inplacemul clipbyvalue clipbyvaluev lerp squaredifference
        selectv fusedmuladdn
    """,
    "pooling": """
        maxpool averagepool avgpool globalaveragepool globalmaxpool pooling maxpoolv3 avgpoolv2 avgpool2d
        max_pool2d max_pool2d_with_indices avg_pool2d adaptive_avg_pool2d mkldnn_max_pool2d qlinearaveragepool
        qlinearglobalaveragepool adaptivepooling adaptiveavgpool2d
        maxpoolwithargmax maxpoolwithargmaxv maxpool3d avgpool3d maxpoolext adaptivemaxpool2d avgpoold avgpoolvd
    """,
    "normalisation": """
        batchnormalization batchnorm batch_norm native_batch_norm layernormalization layernorm layer_norm
        native_layer_norm groupnorm group_norm instancenormalization skiplayernormalization
        embedlayernormalization mvn rms rmsnorm normalizel2 lpnormalization lrn softmax logsoftmax _softmax
        softmaxv2 logsoftmaxv2 bninfer bninference simplifiedlayernormalization skipsimplifiedlayernormalization
        layernormv bntrainingreduce bntrainingupdate bninferenced instancenorm groupnormv addlayernorm addrmsnorm
        softmaxgrad layernormgrad
    """,
    "reduction": """
        reducemean reducesum reducemax reducemin reduceprod reducel2 reduce argmax argmin topk mean sum amax
        amin cumsum nonmaxsuppression multiclassnms reducemeand reducesumd argmaxv2 topkd
        reducemaxd reducemind reduceprodd argmaxd argmaxwithvalue nonmaxsuppressionv batchmultiinclassnonmaxsuppression
    """,
    "concat": """
        concat concatenation cat concatd concatv2 concatv2d qlinearconcat stack pack
    """,
    "resize": """
        resize upsample interpolate upsample_nearest2d upsample_bilinear2d resizenearestneighborv2
        resizenearestneighborv2d resizebilinearv2 resizebilinearv2d resized depthtospace spacetodepth
        depth_to_space space_to_depth pixel_shuffle gridsample
        resizebilinear resizenearestneighbor upsamplebilinear2d upsamplenearest2d spacetodepthd depthtospaced
    """,
    "layout": """
        transpose reorder reorderinput reorderoutput permute transdata transposed transformdata
        transpose_contiguous contiguous to_mkldnn to_dense mkldnn_reorder_conv2d_weight formatcast
    """,
    "copy": """
        copy copy_ memcpy memcpyfromhost memcpytohost identity cast convert slice split splitv splitvd splitd
        variadicsplit stridedslice stridedsliced slicedv2 sliced squeeze unsqueeze reshape flatten expand tile
        broadcast gather gatherelements gathernd scatternd scatterelements scatter scatterndupdate pad padd
        constantofshape shape shapeof clone to _to_copy select index index_select repeat broadcast_to view
        tensormove gatherv2 gatherv2d embedding range
        memcpyasync memcpy_async memcpyaddrasync viewcopy inplacecopy padv padvd broadcasttod tiled stridedslicev
        asstrided dynamicgatherv fill zeroslike oneslike memset
    """,
    "quantise": """
        quantizelinear dequantizelinear dynamicquantizelinear fakequantize ascendquant ascenddequant
        ascendquantize ascenddequantize quantize dequantize quantize_per_tensor quantize_per_channel
        ascendrequant ascendquantv ascendantiquant ascendantiquantv ascendweightquant ascendrequants16
        ascenddequants16 dynamicquant
    """,
    "boundary": """
        input output parameter result const constant assign readvalue memoryinput memoryoutput data netoutput
    """,
}

_KIND = MappingProxyType({name: kind for kind, names in _TYPES.items() for name in names.split()})


def kind_of(type_name: str) -> str:
    """The kind of an operator type; "other" where the name is not known.

    Domains and namespaces (`com.microsoft:`, `aten::`, `nchwc.`) and version suffixes (`MatMulV2`) do not count.
    A name made of several (`Conv_Add_Relu`) is of the kind of its heaviest part.
    """
    name = re.split(r"::|[.:/]", type_name.strip())[-1].lower()
    for candidate in (name, name.rstrip("_"), re.sub(r"(_?v)?\d+$", "", name)):
        if candidate in _KIND:
            return _KIND[candidate]
    parts = {_KIND[part] for part in re.split(r"[_+,]", name) if part in _KIND}
    return min(parts, key=KINDS.index) if parts else "other"
