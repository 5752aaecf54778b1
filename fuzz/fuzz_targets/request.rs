//! Fuzzes the head and chunk parser of the gate with arbitrary bytes: it must not panic, its result must not depend on the
//! pieces in which the bytes arrive, and a message that it accepts must end where a plain reading of RFC 9112 ends.
//!
//! ```text
//! cargo +nightly fuzz run request fuzz/corpus/request fixtures/requests
//! ```

#![no_main]

use libfuzzer_sys::fuzz_target;
use thanos_login::gate::GateLimits;
use thanos_login::gate::in_memory::check;

fuzz_target!(|bytes: &[u8]| {
    check(bytes, &GateLimits::default());
    // Limits that are so small that short inputs reach each of them.
    let small = GateLimits {
        max_head: 90,
        max_header_fields: 3,
        max_body: 6,
        ..GateLimits::default()
    };
    check(bytes, &small);
});
