//! Any bytes as a picture of each kind: no panic, and what comes out is taken again and stays as it is.
#![no_main]

use attachment::{Kind, clean_picture};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    for kind in [Kind::Jpeg, Kind::Png, Kind::Gif, Kind::Bmp, Kind::Tiff] {
        if let Ok(clean) = clean_picture(kind, data) {
            assert!(clean_picture(kind, &clean).as_ref() == Ok(&clean), "cleaning twice changes a {kind:?}");
        }
    }
});
