//! The two lines of HTTP that reading a metrics page needs.

use anyhow::{Context as _, Result, bail};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

/// The body of a GET. HTTP/1.0, so that the answer comes unchunked and ends with the connection.
pub fn get(address: SocketAddr, path: &str) -> Result<String> {
    let limit = Some(Duration::from_secs(10));
    let mut stream = TcpStream::connect(address).with_context(|| format!("http://{address}"))?;
    stream.set_read_timeout(limit)?;
    stream.set_write_timeout(limit)?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).with_context(|| format!("http://{address}{path}"))?;
    let answer = String::from_utf8(answer).context("the page is not UTF-8")?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no end of the HTTP header")?;
    if head.split_whitespace().nth(1) != Some("200") {
        bail!("http://{address}{path}: {}", head.lines().next().unwrap_or_default());
    }
    Ok(body.to_owned())
}

/// An address on loopback that nobody listens on now.
pub fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
