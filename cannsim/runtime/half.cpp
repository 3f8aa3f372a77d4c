#include "half.hpp"

#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace cannsim {
namespace {

uint32_t bits_of(float value) {
    uint32_t bits = 0;
    std::memcpy(&bits, &value, sizeof bits);
    return bits;
}

float of_bits(uint32_t bits) {
    float value = 0;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

void portable(const float* from, float* to, size_t count) {
    for (size_t at = 0; at < count; ++at) to[at] = from_half(to_half(from[at]));
}

#if defined(__x86_64__)
__attribute__((target("avx,f16c"))) void with_f16c(const float* from, float* to, size_t count) {
    size_t at = 0;
    for (; at + 8 <= count; at += 8) {
        const __m128i half = _mm256_cvtps_ph(_mm256_loadu_ps(from + at), _MM_FROUND_TO_NEAREST_INT);
        _mm256_storeu_ps(to + at, _mm256_cvtph_ps(half));
    }
    portable(from + at, to + at, count - at);
}
#endif

}  // namespace

uint16_t to_half(float value) {
    const uint32_t bits = bits_of(value);
    const auto sign = static_cast<uint16_t>((bits >> 16) & 0x8000U);
    const uint32_t magnitude = bits & 0x7FFFFFFFU;
    if (magnitude > 0x7F800000U) return static_cast<uint16_t>(sign | 0x7E00U | ((magnitude >> 13) & 0x3FFU));  // NaN
    if (magnitude >= 0x477FF000U) return static_cast<uint16_t>(sign | 0x7C00U);  // 65520 and beyond round to infinity
    if (magnitude < 0x33000001U) return sign;                                    // 2^-25 and below round to zero
    uint32_t rounded = 0;
    if (magnitude < 0x38800000U) {  // subnormal: shift the mantissa into place, then round it
        const uint32_t exponent = magnitude >> 23;
        const uint32_t mantissa = (magnitude & 0x7FFFFFU) | 0x800000U;
        const uint32_t shift = 126 - exponent;
        const uint32_t halfway = 1U << (shift - 1);
        rounded = mantissa >> shift;
        const uint32_t rest = mantissa & ((1U << shift) - 1);
        if (rest > halfway || (rest == halfway && (rounded & 1U) != 0)) ++rounded;
    } else {
        const uint32_t biased = magnitude - 0x38000000U;
        rounded = biased >> 13;
        const uint32_t rest = biased & 0x1FFFU;
        if (rest > 0x1000U || (rest == 0x1000U && (rounded & 1U) != 0)) ++rounded;
    }
    return static_cast<uint16_t>(sign | rounded);
}

float from_half(uint16_t bits) {
    const uint32_t sign = static_cast<uint32_t>(bits & 0x8000U) << 16;
    const uint32_t exponent = (bits >> 10) & 0x1FU;
    const uint32_t mantissa = bits & 0x3FFU;
    if (exponent == 0x1F) return of_bits(sign | 0x7F800000U | (mantissa << 13));
    if (exponent != 0) return of_bits(sign | ((exponent + 112) << 23) | (mantissa << 13));
    const float value = static_cast<float>(mantissa) * (1.0F / 16777216.0F);
    return sign != 0 ? -value : value;
}

float round_half(float value) { return from_half(to_half(value)); }

void round_to_half(const float* from, float* to, size_t count) {
#if defined(__x86_64__)
    static const bool has_f16c = __builtin_cpu_supports("avx") > 0 && __builtin_cpu_supports("f16c") > 0;
    if (has_f16c) return with_f16c(from, to, count);
#endif
    portable(from, to, count);
}

void round_to_bfloat(const float* from, float* to, size_t count) {
    for (size_t at = 0; at < count; ++at) {
        const uint32_t bits = bits_of(from[at]);
        const bool nan = (bits & 0x7FFFFFFFU) > 0x7F800000U;
        to[at] = of_bits(nan ? bits : (bits + 0x7FFFU + ((bits >> 16) & 1U)) & 0xFFFF0000U);
    }
}

}  // namespace cannsim
