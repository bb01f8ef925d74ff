"""Arguments that others found to be hard.

Halfway: the exact value is next to the middle of two doubles (V. Lefèvre and J.-M. Muller, "Worst cases for correct
rounding of the elementary functions in double precision", 2001, and the tables of 2003). Erring: some other library
errs most there (B. Gladman, V. Innocente and P. Zimmermann, "Accuracy of Mathematical Functions in Single, Double,
Double Extended, and Quadruple Precision", 2023).
"""

from __future__ import annotations

HALFWAY: dict[str, str] = {
    "exp": """
        -0x1.e8bdbfcd9144ep+3 -0x1.71e0b869b5e79p+2 -0x1.02393d5976769p+1 -0x1.2a9cad9998262p+0 -0x1.22e24fa3d5cf9p-1
        -0x1.290ea09e36479p-3 -0x1.a2fefefd580dfp-13 -0x1.ed318efb627eap-27 -0x1.4bd46601ae1efp-31
        -0x1.1000000000242p-42 -0x1.0000000000001p-51 0x1.fffffffffffffp-53 0x1.7ffe7ffee0024p-32
        0x1.80017ffedffdcp-32 0x1.9e9cbbfd6080bp-31 0x1.d7a7d893609e5p-26 0x1.ba07d73250de7p-14 0x1.d77fd13d27fffp-11
        0x1.6a4d1af9cc989p-8 0x1.accfbe46b4ef0p-1 0x1.aca7ae8da5a7bp+0 0x1.d6336a88077aap+0 0x1.76e7e5d7b6eacp+3
        0x1.a8ead058bc6b8p+3 0x1.1d5c2daebe367p+4 0x1.c44ce0d716a1ap+4""",
    "log": """
        0x1.0000000000001p+0 0x1.de7cd6751029ap+16 0x6.46a37fd503fdcp+0 0x7.78dfecc7f57fp+0 0x9.588ccf24bb9c8p+0
        0xa.af87550d97e4p+0 0xc.76f2496cb039p+0 0x11.1867637cbd03p+0 0x13.d9d7d597a9ddp+0 0x17.f3825778aaafp+0
        0x1ac.50b409c8aeep+0""",
    "sin": """
        0x1.e0000000001c2p-20 0x1.598bae9e632f6p-7 0x1.9283586503fep-5 0x1.d7bdcd778049fp-5 0x1.a202b3fb84788p-4
        0x1.d037cb27ee6dfp-3 0x1.d5064e6fe82c5p-3 0x1.fe767739d0f6dp-2 0x1.d98c4c612718dp-1 0x1.921fb54442d18p+0
        0x1.6756745770a51p+1""",
    "cos": """
        0x1.8000000000009p-23 0x1.8000000000024p-22 0x1.2000000000f30p-18 0x1.06b505550e6b2p-9 0x1.97ccd3d2c438fp-6
        0x1.549ec0c0c5afap-5 0x1.16e534ee36580p-4 0x1.efeef61d39ac2p-3 0x1.feb1f7920e248p-2 0x1.7cb7648526f99p-1
        0x1.c65a170474549p-1 0x1.6b8a6273d7c21p+0""",
    "tan": """
        0x1.dffffffffff1fp-22 0x1.67fffffffa114p-18 0x1.50486b2f87014p-5 0x1.52c39ef070cadp-4 0x1.a33f32ac5ceb5p-3
        0x1.d696bfa988db9p-2 0x1.46ac372243536p-1 0x0.a3561b9121a9bp+0""",
    "asin": """
        0x1.dfffffffff02ep-20 0x1.dffffffffc0b8p-19 0x1.9259e3708bd3ap-5 0x1.d77b117f230d6p-5 0x1.a1490c8c06ba7p-4
        0x1.9697cb602c582p-3 0x1.d0ef799001ba9p-3 0x1.e9950730c4696p-2 0x1.1ed06d50f7e88p-1 0x1.d5b05a89d3e77p-1
        0x1.e264357ea0e29p-1""",
    "acos": "0x1.fd737be914578p-11 0x1.4182199998587p-1 0x1.e45a1c93651ecp-1 0x1.f10fc61e2c78fp-1",
    "atan": """
        0x1.e000000000546p-21 0x1.22e8d75e2bc7fp-11 0x1.0fc9f1fabe658p-5 0x1.1bbe9c255698dp-5 0x1.8ddd25ab90ca1p-5
        0x1.5389e6df41979p-4 0x1.a933fe176b375p-3 0x1.0f6e5d9960397p-2 0x1.7ba49f739829fp-1 0x0.bdd24fb9cc14f8p+0""",
    "sinh": """
        0x1.dfffffffffe3ep-20 0x1.dffffffffe3e0p-18 0x1.135e31fdd05d3p-5 0x1.0dc68d5e8f959p-3 0x1.616cc75d49226p-2
        0x1.3ffc12b81cbc2p+0 0x2.fe008c44baca2p+0 0x1.c089fcf166171p+4 0x1.e07e71bfcf06fp+5 0x1.54cd1fea7663ap+7
        0x1.d6479eba7c971p+8""",
    "cosh": """
        0x1.17d8a9f206217p-6 0x1.bf0305e2c6c37p-3 0x1.03923f2b47c07p-1 0x1.a6031cd5f93bap-1 0x1.104b648f113a1p+0
        0x1.ea5f2f2e4b0c5p+1""",
}

ERRING: dict[str, str] = {
    "exp": """
        0x1.2e8f20cf3cbe7p+8 -0x1.49f33ad2c1c58p+9 0x1.fce66609f7428p+5 0x1.b97dc8345c55p+5 -0x1.18209ecd19a8cp+6
        -0x1.4133f4fd79c1cp-13 -0x1.74046dfefd9d1p+9""",
    "log": """
        0x1.48ae5a67204f5p+0 0x1.1211bef8f68e9p+0 0x1.008000db2e8bep+0 0x1.0ffea3878db6bp+0 0x1.dc0b586f2b26p-1
        0x1.490af72a25a81p-1 0x1.5b6e7e4e96f86p+2 0x1.0ffc349469a2fp+0 0x1.69e7aa6da2df5p-1 0x1.5556123e8a2bp-1""",
    "sin": """
        0x1.4d84db080b9fdp+21 -0x1.f8b791cafcdefp+4 -0x1.0e16eb809a35dp+944 -0x1.85e624577c23ep-1
        -0x1.842d8ec8f752fp+21 -0x1.07e4c92b5349dp+4 -0x1.13a5ccd87c9bbp+1008 -0x1.11b624b546894p+9
        -0x1.1c49ad613ff3bp+19 -0x1.f05e952d81b89p+5""",
    "cos": """
        -0x1.34e729fd08086p+21 -0x1.7120161c92674p+0 -0x1.d19ebc5567dcdp+311 0x1.91e60af551108p-1
        -0x1.4ae182c1ab422p+21 0x1.2f29eb4e99fa2p+7 -0x1.9200634d4471fp-1 0x1.25133ca3904dfp+20 0x1.2a33ae49ab15dp+1""",
    "tan": "0x1.3f9605aaeb51bp+21",
    "asin": """
        -0x1.004d1c5a9400bp-1 -0x1.0000045b2c904p-3 0x1.6c042a6378102p-1 -0x1.00d44cccfa99p-1 0x1.eae75e3d82b6fp-2
        -0x1.0239000439deep-1 0x1.0479b37d95e5cp-1 -0x1.2ef2481799c7cp-1 0x1.df27e1c764802p-2""",
    "acos": """
        -0x1.0068b067c6feep-1 0x1.dffffb3488a4p-1 0x1.6c05eb219ec46p-1 0x1.35b03e336a82bp-1 -0x1.8d313198a2e03p-53
        -0x1.010fd0ad6aa41p-1 0x1.251869c3f7881p-1 0x1.266637a3d2bbcp-1 -0x1.36b1482765f6dp-1""",
    "atan": """
        0x1.62ff6a1682c25p-1 0x1.f9004c4fef9eap-4 -0x1.ffff8020d3d1dp-7 0x1.0103fc4ebaaa8p+1 0x1.01e0be37af68fp+1
        -0x1.60370d15396b7p-1 0x1.032b4811f3dc5p+0 0x1.52184b1b9bd9bp+0 -0x1.0684fa9fa7481p+0""",
}


def published(name: str) -> tuple[float, ...]:
    """Return the published hard arguments of a function, of both signs."""
    words = (HALFWAY.get(name, "") + " " + ERRING.get(name, "")).split()
    found = {float.fromhex(word) for word in words}
    return tuple(sorted(found | {-x for x in found}))
