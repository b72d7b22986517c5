//! What the first bytes of a message say: the words of miners, questions of DNS, ARP replies.
//!
//! They are read from the sender's memory before the kernel copies them, so another thread may still change them. Global
//! functions, which the verifier checks apart.

use aya_ebpf::helpers::generated::bpf_probe_read_user;
use sensor_ebpf::abi::{DestinationKey, NameKey, SEND_QUERY, WATCH_DOMAIN_MAX, WATCH_NAME_MAX, WATCH_QUERY};

use crate::bounds::{differs, opaque};
use crate::hooks::send::{is_news, marked};
use crate::kernel::{Access, Probed, Structure, UserMemory, offset};
use crate::maps::WATCHED_NAMES;

/// Bytes in which the words of miners are looked for, and that are told.
const WORDS: u32 = 64;
/// Where the name stands that a DNS message asks for: behind its header (RFC 1035, 4.1.1).
pub const QUESTION: u64 = 12;
/// Labels of a name that are looked at.
const LABELS: u32 = 8;
/// Bytes of a label; longer ones are pointers, which no question has.
const LABEL_MAX: u32 = 63;
/// Longest name that is looked at.
const NAME_MAX: u32 = 112;

/// Set in addresses of the kernel, and clear in those of processes: on x86-64 the highest bit, with four levels of page tables
/// as with five; on arm64 the one below the tag that processes may put there.
#[cfg(bpf_target_arch = "x86_64")]
const KERNEL: u64 = 1 << 63;
#[cfg(bpf_target_arch = "aarch64")]
const KERNEL: u64 = 1 << 55;

/// Where the first bytes of a `struct msghdr` lie in user memory, and how many of them lie there in one piece.
///
/// A `struct iov_iter` says by a number what it points to, and the numbers changed between kernels: a single buffer
/// (`ITER_UBUF`, since 6.0) lies in user memory, the list of several in the kernel's.
#[inline(always)]
pub fn first_piece(message: Structure<Probed>) -> (u64, u32) {
    let iterator = Structure::<Probed>::new(message.0.wrapping_add(offset!(message.iterator) as usize));
    let start: u64 = iterator.field(offset!(iterator.start));
    let mut length: u64 = iterator.field(offset!(iterator.count));
    let mut address: u64 = iterator.field(offset!(iterator.segments));
    if address & KERNEL != 0 {
        let segment = Structure::<Probed>::new(address as *const u8);
        address = segment.field(offset!(segment.base));
        let whole: u64 = segment.field(offset!(segment.length));
        length = length.min(whole.wrapping_sub(start));
    }
    (address.wrapping_add(start), length.min(0xffff) as u32)
}

/// How many bytes of a text are told if it is JSON with one of the methods by which miners log in to pools; else 0.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn says_stratum(address: u64, length: u32) -> u32 {
    const METHOD: u64 = u64::from_ne_bytes(*b"\"method\"");
    const MINING: u64 = u64::from_ne_bytes(*b"\"mining.");
    const ETHEREUM: u64 = u64::from_ne_bytes(*b"\"eth_sub");
    const LOGIN: u64 = u64::from_ne_bytes(*b"\"login\"\0");
    const LOGIN_BYTES: u64 = u64::from_ne_bytes([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0]);
    /// From the method's key to its value: eight bytes, a colon, up to three blanks.
    const NEAREST: u64 = 9;
    const NEAR: u64 = 4;
    let text = address as *const u8;
    let length = if length > WORDS { WORDS } else { length };
    if UserMemory::load::<u8>(text, 0) != b'{' {
        return 0;
    }
    // Far from everything.
    let mut method = 1_u64 << 32;
    let mut found = 0;
    let mut at = 1_u32;
    // Without branches: each would double the paths that the verifier walks.
    while at + 8 <= WORDS {
        if at + 8 > length {
            break;
        }
        let word: u64 = UserMemory::load(text, at);
        let is_method = opaque(differs(word, METHOD).wrapping_sub(1));
        method = (method & !is_method) | (u64::from(at) & is_method);
        let distance = u64::from(at).wrapping_sub(method).wrapping_sub(NEAREST);
        let is_near = 1 - differs(opaque(distance) / NEAR, 0);
        let is_login = 1 - differs(word & LOGIN_BYTES, LOGIN);
        let is_known = (1 - differs(word, MINING)) | (1 - differs(word, ETHEREUM)) | is_login;
        found |= is_near & is_known;
        at += 1;
    }
    if found == 0 { 0 } else { length }
}

/// How many bytes the name has that a DNS message asks for, if it is that of a watched domain or below it and was not told
/// of the cgroup within the last minute; else 0.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn asks_for_pool(address: u64, length: u32) -> u32 {
    /// The bit that says answer, in the third byte.
    const ANSWER: u8 = 0x80;
    let message = address as *const u8;
    if UserMemory::load::<u8>(message, 2) & ANSWER != 0 {
        return 0;
    }
    // Where the label before the last one begins, where the last one does, and where the next would.
    let (mut before, mut last, mut next) = (0, 0, QUESTION as u32);
    let mut label = 0;
    loop {
        if label > LABELS || next >= length || next > QUESTION as u32 + NAME_MAX {
            return 0;
        }
        let size = u32::from(UserMemory::load::<u8>(message, next));
        if size == 0 {
            break;
        }
        if size > LABEL_MAX {
            return 0;
        }
        before = last;
        last = next;
        next += 1 + size;
        label += 1;
    }
    // The last two labels without the length of the first.
    let domain = before + 1;
    let size = next.wrapping_sub(domain);
    if before == 0 || size > WATCH_DOMAIN_MAX as u32 {
        return 0;
    }
    let mut words = [0_u64; WATCH_NAME_MAX / 8];
    let size = opaque(u64::from(size)) as u32 & (WATCH_NAME_MAX as u32 - 1);
    // SAFETY: there is room for 31 bytes; the helper checks the address.
    unsafe {
        bpf_probe_read_user(words.as_mut_ptr().cast(), size, message.wrapping_add(domain as usize).cast());
    }
    let words = [lower_case(words[0]), lower_case(words[1]), lower_case(words[2])];
    let is_watched = match WATCHED_NAMES.get_ptr(NameKey::of_domain(words)) {
        // SAFETY: the value lives as long as the map; it is a number that is written as a whole.
        Some(mask) => unsafe { *mask & WATCH_QUERY != 0 },
        None => false,
    };
    let domain = DestinationKey { address: [words[0], words[1]], port: 0, reserved: 0 };
    if is_watched && is_news(marked(domain, SEND_QUERY)) { next - QUESTION as u32 } else { 0 }
}

/// Eight bytes with small letters for capital ones: names of DNS do not differ by that. Lengths of labels are smaller than
/// letters.
#[inline(always)]
fn lower_case(word: u64) -> u64 {
    const EACH: u64 = 0x0101_0101_0101_0101;
    const TOP: u64 = 0x80 * EACH;
    let low = word & !TOP;
    let from_a = low + (0x80 - b'A' as u64) * EACH;
    let behind_z = low + (0x7f - b'Z' as u64) * EACH;
    word | ((!word & TOP & (from_a ^ behind_z)) >> 2)
}

/// The IPv4 address, as in memory, that an ARP reply claims, and 1 above it; 0 if it is none. `framed` is not 0 if the
/// message begins with the header of Ethernet.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn arp_reply(address: u64, length: u32, framed: u32) -> u64 {
    /// `ETH_P_ARP` of include/uapi/linux/if_ether.h, and where a frame of 14 bytes holds it.
    const ARP: u16 = u16::from_ne_bytes([0x08, 0x06]);
    const FRAME: u32 = 14;
    const FRAME_TYPE: u32 = 12;
    /// `struct arphdr` of include/uapi/linux/if_arp.h: Ethernet, IPv4, lengths of their addresses, `ARPOP_REPLY`.
    const REPLY: u64 = u64::from_ne_bytes([0, 1, 8, 0, 6, 4, 0, 2]);
    /// Where the sender's IPv4 address stands.
    const SENDER: u32 = 14;
    let message = address as *const u8;
    let start = if framed != 0 { FRAME } else { 0 };
    if length < start + SENDER + 4 || framed != 0 && UserMemory::load::<u16>(message, FRAME_TYPE) != ARP {
        return 0;
    }
    if UserMemory::load::<u64>(message, start) != REPLY {
        return 0;
    }
    u64::from(UserMemory::load::<u32>(message, start + SENDER)) | 1 << 32
}
