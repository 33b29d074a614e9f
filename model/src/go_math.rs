//! Logarithms and powers of two by the methods of Go's library on x86-64, so that answers agree with Prometheus's to the
//! last digit: the series of fdlibm (FreeBSD's `e_log.c` and `e_exp.c` describe them).

/// A finite number other than zero as `f * 2^e` with `f` from 0.5 to 1 in magnitude.
pub fn split(v: f64) -> (f64, i64) {
    const TWO_TO_52: f64 = 4_503_599_627_370_496.0;
    let (normal, shift) = if v.abs() < f64::MIN_POSITIVE { (v * TWO_TO_52, -52) } else { (v, 0) };
    let bits = normal.to_bits();
    let exponent = (bits >> 52 & 0x7ff) as i64 - 1022;
    let fraction = f64::from_bits(bits & !(0x7ff << 52) | 1022 << 52);
    (fraction, exponent + shift)
}

/// `f * 2^e`.
pub fn join(f: f64, e: i64) -> f64 {
    if f == 0.0 || !f.is_finite() {
        return f;
    }
    let (f, own) = split(f);
    let e = e.saturating_add(own);
    let power = |e: i64| f64::from_bits(((e + 1023) as u64) << 52);
    match e {
        1025.. => f.signum() * f64::INFINITY,
        -1021..=1024 => f * 2.0 * power(e - 1),
        // Rounded once, where the number loses bits.
        -1074..=-1022 => f * power(e + 53) * power(-53),
        _ => f.signum() * 0.0,
    }
}

/// Coefficients of even powers in the series of logarithms, from fdlibm.
pub const LN_SERIES: [f64; 7] = [
    6.666_666_666_666_735e-1,
    3.999_999_999_940_942e-1,
    2.857_142_874_366_239e-1,
    2.222_219_843_214_978_4e-1,
    1.818_357_216_161_805e-1,
    1.531_383_769_920_937_3e-1,
    1.479_819_860_511_658_6e-1,
];
/// The greater part of the logarithm of 2, with zeros at its end.
pub const LN_2_HIGH: f64 = 6.931_471_803_691_238e-1;
/// What [`LN_2_HIGH`] lacks.
pub const LN_2_LOW: f64 = 1.908_214_929_270_587_7e-10;

/// The natural logarithm: of `2^k (1 + f)` with `1 + f` around 1, by a series in `f / (2 + f)`.
pub fn ln(x: f64) -> f64 {
    if x <= 0.0 || !x.is_finite() {
        return x.ln();
    }
    let (mut fraction, mut k) = split(x);
    if fraction < std::f64::consts::FRAC_1_SQRT_2 {
        fraction *= 2.0;
        k -= 1;
    }
    let (f, k) = (fraction - 1.0, k as f64);
    let s = f / (2.0 + f);
    let s2 = s * s;
    let s4 = s2 * s2;
    let [c1, c2, c3, c4, c5, c6, c7] = LN_SERIES;
    let odd = s2 * (c1 + s4 * (c3 + s4 * (c5 + s4 * c7)));
    let even = s4 * (c2 + s4 * (c4 + s4 * c6));
    let half_square = 0.5 * f * f;
    k * LN_2_HIGH - ((half_square - (s * (half_square + (odd + even)) + k * LN_2_LOW)) - f)
}

/// The binary logarithm; exact for powers of two.
pub fn log2(x: f64) -> f64 {
    if x <= 0.0 || !x.is_finite() {
        return x.log2();
    }
    match split(x) {
        (0.5, e) => (e - 1) as f64,
        (f, e) => e as f64 + ln(f) * std::f64::consts::LOG2_E,
    }
}

/// Coefficients of the even powers in the rational approximation of the exponential, from fdlibm.
const EXP_SERIES: [f64; 5] = [
    1.666_666_666_666_666_6e-1,
    -2.777_777_777_701_559_3e-3,
    6.613_756_321_437_934e-5,
    -1.653_390_220_546_525_2e-6,
    4.138_136_797_057_238_5e-8,
];

/// Two to the power of `x`.
pub fn exp2(x: f64) -> f64 {
    if x.is_nan() {
        return x;
    }
    if x > 1_023.999_999_999_999_9 {
        return f64::INFINITY;
    }
    if x < -1_074.0 {
        return 0.0;
    }
    // `e^(high - low)` is what two to the fraction is.
    let k = (x + 0.5f64.copysign(x)).trunc();
    let fraction = x - k;
    let (high, low) = (fraction * LN_2_HIGH, -fraction * LN_2_LOW);
    let r = high - low;
    let square = r * r;
    let [c1, c2, c3, c4, c5] = EXP_SERIES;
    let c = r - square * (c1 + square * (c2 + square * (c3 + square * (c4 + square * c5))));
    join(1.0 - ((low - (r * c) / (2.0 - c)) - high), k as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_go_rounds_them() {
        for (x, bits) in EXP2 {
            assert_eq!(exp2(*x).to_bits(), *bits, "exp2({x:?})");
        }
        for (x, bits) in LOG2 {
            assert_eq!(log2(*x).to_bits(), *bits, "log2({x:?})");
        }
        assert!(exp2(f64::NAN).is_nan());
        assert_eq!((exp2(f64::INFINITY), exp2(f64::NEG_INFINITY)), (f64::INFINITY, 0.0));
        assert_eq!((exp2(1024.0), exp2(-1075.0), exp2(-1074.0)), (f64::INFINITY, 0.0, 5e-324));
    }

    /// Arguments and what Go 1.26 gives for them, as bits.
    const EXP2: &[(f64, u64)] = &[
        (f64::from_bits(0x403a_cf21_0f22_a700), 0x419c_08aa_a8a8_d9cc),
        (f64::from_bits(0xc000_8d1b_2972_c95a), 0x3fce_81f7_4624_e004),
        (f64::from_bits(0x4049_5fc8_44bc_6e78), 0x431a_e081_da15_07f0),
        (f64::from_bits(0xc062_a917_bfff_329e), 0x369a_477b_4c3d_b052),
        (f64::from_bits(0xbfde_933f_23c6_f582), 0x3fe6_fab3_3adb_af20),
        (f64::from_bits(0xbfb5_14f2_0d08_4e68), 0x3fee_397c_5f55_779d),
        (f64::from_bits(0xbff6_b90e_82b7_5ce8), 0x3fd7_ea23_a64f_acea),
        (f64::from_bits(0xc056_a69d_c445_d47a), 0x3a45_100f_378f_23bc),
        (f64::from_bits(0x4029_0c56_f026_6090), 0x40b7_0233_12db_5126),
        (f64::from_bits(0x3ff6_8ab5_a6ef_b414), 0x4005_3e04_0f48_e4b2),
        (f64::from_bits(0x403c_6e80_0e29_9816), 0x41b5_948d_065a_fdfb),
        (f64::from_bits(0x4083_5738_8982_d6a8), 0x669d_e939_bb47_2cf0),
        (f64::from_bits(0xc04e_dd20_95d5_aba0), 0x3c13_535c_1469_c715),
        (f64::from_bits(0xc004_2e43_60e1_0ea8), 0x3fc6_46a0_1977_28bf),
        (f64::from_bits(0x4037_0df9_453e_3614), 0x4160_9df1_475a_b608),
        (f64::from_bits(0x402c_4fb7_7a46_6ace), 0x40d1_d2c7_2106_47c3),
        (f64::from_bits(0x404b_30a2_6c42_245c), 0x4354_d222_eef4_db34),
        (f64::from_bits(0x4024_3c52_c9db_db1c), 0x4091_5c8a_d0ec_fe9f),
        (f64::from_bits(0xc069_6ecc_659d_6d61), 0x3337_395c_f2f6_7f2e),
        (f64::from_bits(0xbfee_4e9b_9e0c_b4a8), 0x3fe0_98fd_7fcc_b5c0),
        (f64::from_bits(0x4012_204f_5e21_8f38), 0x4037_20b3_f606_0b58),
        (f64::from_bits(0x4020_42c8_3390_43e8), 0x4071_8393_14a7_077f),
        (f64::from_bits(0xc053_23ae_8955_7802), 0x3b25_be2e_5e3b_7771),
        (f64::from_bits(0xc01c_e5ac_d4a1_5646), 0x3f7b_6479_74aa_9276),
        (f64::from_bits(0x406e_5177_d28d_7466), 0x4f17_5bc7_c235_4236),
        (f64::from_bits(0x3fef_3922_2b57_8e00), 0x3fff_774f_39ad_9946),
        (f64::from_bits(0xbff3_fb9a_51a0_5752), 0x3fda_edc0_53df_9492),
        (f64::from_bits(0xc020_ed88_aa99_56ca), 0x3f67_3341_bc75_0362),
        (f64::from_bits(0x4009_8bec_1cc0_45e8), 0x4022_4b56_8630_bd96),
        (f64::from_bits(0x402e_4ddb_6177_3dc8), 0x40e1_c74d_edb7_0d73),
        (f64::from_bits(0x3ffa_b2f5_c0f3_ad6e), 0x4009_6f20_52d7_b75b),
        (f64::from_bits(0x405b_4d2b_077a_28ec), 0x46c2_73dc_d4e4_5380),
        (f64::from_bits(0x4054_8aac_3693_5f44), 0x4511_f5e7_c652_8e6e),
        (f64::from_bits(0x3fee_3f7b_4060_4d00), 0x3ffe_ceef_9699_ded6),
        (f64::from_bits(0xbfe1_66d5_97e5_5948), 0x3fe5_f363_0191_3b7e),
        (f64::from_bits(0xc078_473e_5275_fcaf), 0x27a7_619e_5d04_a1ca),
        (f64::from_bits(0x4044_9336_eb1a_62d0), 0x4281_c127_6f71_5028),
        (f64::from_bits(0xc08d_5b58_6373_fd8b), 0x0537_f2b9_24f0_9e94),
        (f64::from_bits(0x4005_a744_c5cb_9154), 0x401a_1cd3_46cc_dcff),
        (f64::from_bits(0xc070_c5bd_eb4a_f9cf), 0x2f28_f3ee_5a62_3449),
        (f64::from_bits(0x405a_b4dc_b9a6_0002), 0x469c_5d19_1257_4075),
        (f64::from_bits(0xc01d_e0c0_757d_60b8), 0x3f77_1c72_f19f_3a58),
        (f64::from_bits(0x3fed_749d_4594_3d1e), 0x3ffe_48b5_fc81_ac04),
        (f64::from_bits(0x405c_5fb6_3c42_7a1c), 0x4706_8e91_e0f4_4a72),
        (f64::from_bits(0x404c_3470_8754_f662), 0x4375_411b_05cd_1b91),
        (f64::from_bits(0x400d_3c32_7505_d96c), 0x4029_2eea_169b_a86e),
        (f64::from_bits(0xbfc2_a603_18b1_c548), 0x3fec_ed20_7237_6755),
        (f64::from_bits(0x4042_acfc_99be_75e4), 0x4244_69e1_b8a0_9419),
        (f64::from_bits(0x4057_129f_0fae_274e), 0x45b3_9343_23dd_c6c3),
        (f64::from_bits(0x4029_a441_5216_f7a4), 0x40bc_432b_1477_8ae9),
        (f64::from_bits(0x3ffe_83b3_c2b8_8a48), 0x400e_0166_cc4e_1602),
        (f64::from_bits(0x403c_4a5c_00fe_6b50), 0x41b3_918d_c00e_5549),
        (f64::from_bits(0x3fda_a60d_ab60_6c00), 0x3ff5_5a6f_e28d_83fd),
        (f64::from_bits(0x4024_c8ae_c45a_1980), 0x4094_fea9_8581_b303),
        (f64::from_bits(0x4002_3f2a_7d7b_5112), 0x4013_703f_9188_cb36),
        (f64::from_bits(0xc027_3bc0_6d91_4442), 0x3f34_de7e_5209_a3d2),
        (f64::from_bits(0xbfec_0ae0_adb5_e64c), 0x3fe1_6e9c_4698_a9c5),
        (f64::from_bits(0xc077_8167_914a_750c), 0x286e_1c65_5a12_d44a),
        (f64::from_bits(0xc06d_e8b7_a4ae_b0bc), 0x30fa_7e69_593a_cd74),
        (f64::from_bits(0xc005_c42f_2d9b_0b20), 0x3fc3_6a9b_e3a5_2cc2),
    ];
    const LOG2: &[(f64, u64)] = &[
        (f64::from_bits(0x412d_1bdd_843b_f914), 0x4033_dd06_db69_e755),
        (f64::from_bits(0x3f5f_04ff_0eca_ad6a), 0xc022_16fc_9153_46d4),
        (f64::from_bits(0x3ecc_846e_61ba_11ad), 0xc032_2a8e_5066_5b96),
        (f64::from_bits(0x411f_a1b3_9414_d67f), 0x4032_fbb9_55dc_843e),
        (f64::from_bits(0x3e75_d915_dd15_2001), 0xc037_8cf2_3e8d_46e6),
        (f64::from_bits(0x401d_fb54_d5ec_d9e8), 0x4007_3f83_ea2b_a957),
        (f64::from_bits(0x3e71_fc1d_b86f_b342), 0xc037_d4cf_851a_cf45),
        (f64::from_bits(0x409d_9181_9af9_0be8), 0x4025_c59f_a0a7_c2e1),
        (f64::from_bits(0x403d_8da0_e079_6794), 0x4013_8a7d_7516_ed46),
        (f64::from_bits(0x3ea9_e412_09b6_4612), 0xc034_4e3d_8e6f_52bb),
        (f64::from_bits(0x3f78_965f_5e57_6492), 0xc01d_8546_dde9_cead),
        (f64::from_bits(0x40a2_ae9e_8b8f_8207), 0x4026_7279_c3ef_d2f3),
        (f64::from_bits(0x40d4_e98b_984b_bf6e), 0x402c_c5c6_58d4_75a3),
        (f64::from_bits(0x401c_278d_3f12_2b75), 0x4006_85b8_a31b_c998),
        (f64::from_bits(0x3e6c_20d7_51a9_3e37), 0xc038_2fa0_fdd5_148f),
        (f64::from_bits(0x3ed5_03ed_11cc_41cd), 0xc031_9b4c_1002_c4ec),
        (f64::from_bits(0x3f48_b038_cda7_37a6), 0xc024_bf9c_73a0_0186),
        (f64::from_bits(0x404a_68fe_ba6d_6d36), 0x4016_e45f_523e_1556),
        (f64::from_bits(0x3f9f_df20_14a0_a153), 0xc014_05f0_c10d_36ab),
        (f64::from_bits(0x409a_d005_7161_fc6f), 0x4025_7d5b_724c_641c),
        (f64::from_bits(0x4191_fe18_59b3_cd89), 0x403a_2b59_1ca1_0fcd),
        (f64::from_bits(0x3eac_5fb2_c86c_e31f), 0xc034_2c6b_3e93_44f3),
        (f64::from_bits(0x3e31_fa1e_c830_4863), 0xc03b_d4f8_83d3_bb99),
        (f64::from_bits(0x3ede_220b_86cd_49b8), 0xc031_1633_d0e1_b8d7),
        (f64::from_bits(0x3f57_e5b2_5429_1cb0), 0xc022_d7ab_15f8_4da2),
        (f64::from_bits(0x4178_dafe_44a8_c7bd), 0x4038_a2af_76db_179a),
        (f64::from_bits(0x4037_c6b1_afcb_f1f8), 0x4012_4928_6439_84ec),
        (f64::from_bits(0x3e68_d775_21db_b2ef), 0xc038_5d85_1667_3eca),
        (f64::from_bits(0x4080_e1da_3809_efaf), 0x4022_27a5_70fe_c640),
        (f64::from_bits(0x3e1f_f9fe_15cb_9819), 0xc03d_0045_5c72_dbe3),
        (f64::from_bits(0x4038_a76e_96ae_5f8b), 0x4012_7eb8_c11c_41f2),
        (f64::from_bits(0x4047_a55e_faf7_fe6e), 0x4016_410c_3091_99a8),
        (f64::from_bits(0x41a4_35be_db3f_84f6), 0x403b_5645_32c4_c0c9),
        (f64::from_bits(0x4176_7514_71a8_c2b7), 0x4038_7d36_a9f8_dc74),
        (f64::from_bits(0x3e1a_8397_014b_d166), 0xc03d_4574_fc89_6ae2),
        (f64::from_bits(0x4022_a51a_8a98_bcdd), 0x4009_c404_a199_100e),
        (f64::from_bits(0x4170_7bca_d55a_a41a), 0x4038_0aff_2ecf_e7bf),
        (f64::from_bits(0x3fba_6a00_500c_b287), 0xc00a_36d0_cc58_4e86),
        (f64::from_bits(0x4089_bf81_9afe_ce06), 0x4023_5f6e_d563_e8c8),
        (f64::from_bits(0x3eac_41ca_493b_5197), 0xc034_2df1_59ab_7a0b),
        (f64::from_bits(0x3f4b_066e_5a77_93e1), 0xc024_7ccf_8705_0cb4),
        (f64::from_bits(0x3e98_eef8_6e58_628a), 0xc035_5c28_283d_f13f),
        (f64::from_bits(0x416f_2122_b381_78d9), 0x4037_f5d0_28fe_e49a),
        (f64::from_bits(0x4031_a4dc_e94b_f6b3), 0x4010_907d_f074_6267),
        (f64::from_bits(0x40e4_c62e_556d_3d0b), 0x402e_c0e1_125e_8725),
        (f64::from_bits(0x3f59_c509_7dee_6375), 0xc022_9ff2_90bc_2c22),
        (f64::from_bits(0x40b6_0e67_9048_2ede), 0x4028_ed1d_a48b_6b26),
        (f64::from_bits(0x417c_0b7e_aef5_73a2), 0x4038_cf46_4fdd_63dc),
        (f64::from_bits(0x4051_39c2_1a8d_beb9), 0x4018_6d0a_199d_d415),
        (f64::from_bits(0x3deb_f537_3ecd_3a9b), 0xc040_18ef_c56b_482a),
        (f64::from_bits(0x3f33_d68e_1556_f22d), 0xc027_612d_2833_eadc),
        (f64::from_bits(0x3f4b_6acf_0fd1_28af), 0xc024_722b_ae29_77d0),
        (f64::from_bits(0x3feb_3638_6bcb_3bc1), 0xbfcd_ee74_b96d_d622),
        (f64::from_bits(0x3e86_87b0_8eb2_a8dd), 0xc036_8197_c6b4_7d65),
        (f64::from_bits(0x3eb9_add2_3022_92dc), 0xc033_5146_99c8_f162),
        (f64::from_bits(0x4101_34b1_9050_ec69), 0x4031_1ad5_dfa8_1b5a),
        (f64::from_bits(0x3f74_6c4a_d3a6_c42a), 0xc01e_976c_c8cb_7424),
        (f64::from_bits(0x3e99_e525_790a_ffb1), 0xc035_4e2e_35b7_0f2c),
        (f64::from_bits(0x3e0a_9c8e_d05c_dc37), 0xc03e_4419_d481_6dc2),
        (f64::from_bits(0x4139_3c93_408f_ed98), 0x4034_a84e_70b1_c2e8),
    ];
}
