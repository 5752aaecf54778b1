//! The head and chunk parser of the gate, on any bytes: it neither panics nor cares in which pieces they arrive, and
//! whatever it lets through ends where a plain reading of RFC 9112 ends.
//!
//! ```text
//! cargo +nightly fuzz run request fuzz/corpus/request fixtures/requests
//! ```

#![no_main]

use libfuzzer_sys::fuzz_target;
use thanos_login::gate::Limits;
use thanos_login::gate::in_memory::check;

fuzz_target!(|bytes: &[u8]| {
    check(bytes, &Limits::default());
    // So small that short inputs meet every one of them.
    let small = Limits {
        max_head: 90,
        max_header_fields: 3,
        max_body: 6,
        ..Limits::default()
    };
    check(bytes, &small);
});
