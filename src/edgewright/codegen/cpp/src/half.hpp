// IEEE 754 half precision, for models whose inputs or outputs are fp16; compilers for x86 may have no such type.
#pragma once

#include <cstdint>
#include <cstring>

namespace app {

enum class Half : std::uint16_t {};

inline float from_half(Half half) {
    const auto bits = static_cast<std::uint32_t>(half);
    const std::uint32_t sign = (bits & 0x8000u) << 16;
    std::uint32_t exponent = (bits >> 10) & 0x1fu, fraction = bits & 0x3ffu;
    if (exponent == 0 && fraction != 0) {  // subnormal: moved up until it has a leading one
        exponent = 1;
        while ((fraction & 0x400u) == 0) {
            fraction <<= 1;
            --exponent;
        }
        fraction &= 0x3ffu;
    } else if (exponent == 0) {
        exponent = static_cast<std::uint32_t>(-112);  // zero: cancels the shift of the bias below
    }
    if (exponent == 0x1fu) exponent = 0xffu - 112u;  // infinity, not a number
    const std::uint32_t whole = sign | ((exponent + 112u) << 23) | (fraction << 13);
    float value;
    std::memcpy(&value, &whole, sizeof value);
    return value;
}

inline Half to_half(float value) {  // rounded to nearest, ties to even
    std::uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    const std::uint32_t sign = (bits >> 16) & 0x8000u;
    bits &= 0x7fffffffu;
    if (bits > 0x7f800000u) return static_cast<Half>(sign | 0x7e00u);
    if (bits >= 0x477ff000u) return static_cast<Half>(sign | 0x7c00u);  // from 65520 on it is infinity
    if (bits < 0x38800000u) {                                           // below 2^-14: the subnormal grid of 2^-24
        float magnitude;
        std::memcpy(&magnitude, &bits, sizeof magnitude);
        const float shifted = magnitude + 0.5f;  // 0.5 has an ulp of 2^-24, so this sum does the rounding
        std::memcpy(&bits, &shifted, sizeof bits);
        return static_cast<Half>(sign | (bits - 0x3f000000u));
    }
    bits += 0xfffu + ((bits >> 13) & 1u);
    return static_cast<Half>(sign | ((bits - 0x38000000u) >> 13));
}

}  // namespace app
