//! Finds the request that an answer belongs to, from the bytes that a test sent.

/// The bytes that were sent on one connection and have not been answered yet.
#[derive(Default)]
pub struct UnansweredRequests {
    bytes: Vec<u8>,
    /// How many bytes of the current body are still to be sent: its answer came before its end.
    skip: usize,
    /// Whether the start of the next request is unknown. The server ends such a connection too.
    lost: bool,
}

/// The request that an answer belongs to.
pub struct SentRequest {
    pub method: String,
    /// Without scheme, host and query.
    pub path: String,
}

impl UnansweredRequests {
    pub fn sent(&mut self, bytes: &[u8]) {
        let skipped = self.skip.min(bytes.len());
        self.skip -= skipped;
        self.bytes.extend(&bytes[skipped..]);
    }

    /// Removes the next request and returns it; `None` when the bytes are not a request, or not a complete one.
    pub fn next(&mut self) -> Option<SentRequest> {
        let sent_request = if self.lost { None } else { self.take() };
        self.lost |= sent_request.is_none();
        sent_request
    }

    fn take(&mut self) -> Option<SentRequest> {
        while self.bytes.starts_with(b"\r\n") {
            self.bytes.drain(..2);
        }
        let head = self.take_to(b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&head).into_owned();
        let mut lines = head.split("\r\n");
        let (method, target) = match lines.next()?.split(' ').collect::<Vec<_>>()[..] {
            [method, target, version] if version.starts_with("HTTP/1.") => (method, target),
            _ => return None,
        };
        let sent_request = SentRequest {
            method: method.to_owned(),
            path: path_of(target),
        };
        let fields: Vec<(String, &str)> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim()))
            .collect();
        let values = |wanted: &str| -> Vec<&str> {
            let named = fields.iter().filter(|(name, _)| name == wanted);
            named.map(|(_, value)| *value).collect()
        };
        match (
            &values("content-length")[..],
            &values("transfer-encoding")[..],
        ) {
            ([], []) => {}
            ([length], []) => match length.parse() {
                Ok(length) => self.drop_body(length),
                Err(_) => self.lost = true,
            },
            ([], [_]) => self.lost |= self.take_chunks().is_none(),
            _ => self.lost = true,
        }
        Some(sent_request)
    }

    fn take_to(&mut self, end: &[u8]) -> Option<Vec<u8>> {
        let at = self.bytes.windows(end.len()).position(|part| part == end)?;
        Some(self.bytes.drain(..at + end.len()).collect())
    }

    fn drop_body(&mut self, length: usize) {
        let here = length.min(self.bytes.len());
        self.bytes.drain(..here);
        self.skip = length - here;
    }

    fn take_chunks(&mut self) -> Option<()> {
        loop {
            let line = String::from_utf8(self.take_to(b"\r\n")?).ok()?;
            let size = line.split(';').next()?.trim();
            let size = usize::from_str_radix(size, 16).ok()?;
            if size == 0 {
                // Trailers follow, up to an empty line.
                while self.take_to(b"\r\n")? != b"\r\n" {}
                return Some(());
            }
            let end = size.checked_add(2).filter(|end| *end <= self.bytes.len())?;
            self.bytes.drain(..end);
        }
    }
}

fn path_of(target: &str) -> String {
    let lower = target.to_ascii_lowercase();
    let after_scheme = ["http://", "https://"]
        .iter()
        .find(|scheme| lower.starts_with(**scheme))
        .map(|scheme| &target[scheme.len()..]);
    let path = match after_scheme {
        Some(rest) => rest.find('/').map_or("/", |slash| &rest[slash..]),
        None => target,
    };
    path.split('?').next().unwrap_or(path).to_owned()
}
