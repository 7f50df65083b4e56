//! A line that is put together on the stack and handed on as a whole.
//!
//! The formatting of the standard library costs more for a line of some forty parts than everything
//! else about it. So numbers and addresses are written here, digit by digit.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Most lines fit; longer ones go out in pieces.
const ROOM: usize = 512;

/// The digits of every number below 100.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[b'0'; 2]; 100];
    let mut number = 0;
    while number < pairs.len() {
        pairs[number] = [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8];
        number += 1;
    }
    pairs
};

/// The text of every byte of an IPv4 address, and how much of it counts.
const OCTETS: [([u8; 3], usize); 256] = {
    let mut octets = [([b'0'; 3], 0); 256];
    let mut number = 0;
    while number < octets.len() {
        let [tens, ones] = PAIRS[number % 100];
        octets[number] = match number {
            0..10 => ([ones, 0, 0], 1),
            10..100 => ([tens, ones, 0], 2),
            _ => ([b'0' + (number / 100) as u8, tens, ones], 3),
        };
        number += 1;
    }
    octets
};

/// A line on its way to a formatter.
pub(super) struct Line<'a, 'f> {
    out: &'a mut fmt::Formatter<'f>,
    /// What has not gone out yet: always whole characters.
    buffer: [u8; ROOM],
    len: usize,
    result: fmt::Result,
}

impl<'a, 'f> Line<'a, 'f> {
    pub(super) fn new(out: &'a mut fmt::Formatter<'f>) -> Self {
        Self { out, buffer: [0; ROOM], len: 0, result: Ok(()) }
    }

    /// Hands the rest on.
    pub(super) fn finish(mut self) -> fmt::Result {
        self.flush();
        self.result
    }

    /// Adds text.
    // Inlined, since a text of known length then is a store or two.
    #[inline(always)]
    pub(super) fn text(&mut self, text: &str) {
        match text.len() {
            len if len <= ROOM => self.space(len).copy_from_slice(text.as_bytes()),
            _ => self.long_text(text),
        }
    }

    #[cold]
    fn long_text(&mut self, text: &str) {
        self.flush();
        self.result = self.result.and_then(|()| self.out.write_str(text));
    }

    /// Adds a name and a number.
    #[inline(always)]
    pub(super) fn field(&mut self, name: &str, number: impl Into<u64>) {
        self.text(name);
        self.number(number.into());
    }

    /// Adds a number.
    pub(super) fn number(&mut self, number: u64) {
        // Most are short, of which this is found out sooner.
        let digits = match u32::try_from(number) {
            Ok(number) => number.checked_ilog10(),
            Err(_) => number.checked_ilog10(),
        };
        let len = digits.map_or(1, |digits| digits as usize + 1);
        let space = self.space(len);
        let (mut rest, mut end) = (number, len);
        while end >= 2 {
            space[end - 2..end].copy_from_slice(&PAIRS[(rest % 100) as usize]);
            (rest, end) = (rest / 100, end - 2);
        }
        if end == 1 {
            space[0] = b'0' + rest as u8;
        }
    }

    /// Adds a number of two digits, the first of which may be 0.
    pub(super) fn two_digits(&mut self, number: u64) {
        self.space(2).copy_from_slice(&PAIRS[(number % 100) as usize]);
    }

    /// Adds a number in hexadecimal digits.
    pub(super) fn hexadecimal(&mut self, number: u16) {
        let len = number.checked_ilog2().map_or(1, |bits| bits as usize / 4 + 1);
        let mut rest = number;
        for digit in self.space(len).iter_mut().rev() {
            *digit = b"0123456789abcdef"[usize::from(rest & 0xf)];
            rest >>= 4;
        }
    }

    /// Adds an address as `inet_ntop` of glibc writes it.
    pub(super) fn address(&mut self, address: IpAddr) {
        match address {
            IpAddr::V4(address) => self.ipv4(address),
            IpAddr::V6(address) => self.ipv6(address),
        }
    }

    fn ipv4(&mut self, address: Ipv4Addr) {
        let mut text = [b'.'; 16];
        let mut end = 0;
        for octet in address.octets() {
            let (digits, len) = OCTETS[usize::from(octet)];
            text[end..end + 3].copy_from_slice(&digits);
            text[end + len] = b'.';
            end += len + 1;
        }
        // Without the dot behind the last.
        self.space(end - 1).copy_from_slice(&text[..end - 1]);
    }

    /// The standard library's text differs in the addresses that end with an IPv4 address: here those
    /// with six zeros in front have it in dots, too.
    fn ipv6(&mut self, address: Ipv6Addr) {
        let groups = address.segments();
        let zeros = longest_zeros(&groups);
        let ends_with_ipv4 = zeros.start == 0 && (zeros.end == 6 || (zeros.end == 5 && groups[5] == 0xffff));
        let plain = if ends_with_ipv4 { 6 } else { 8 };
        for (place, &group) in groups[..plain].iter().enumerate() {
            if zeros.contains(&place) {
                if place == zeros.start {
                    self.text(":");
                }
                continue;
            }
            if place > 0 {
                self.text(":");
            }
            self.hexadecimal(group);
        }
        if ends_with_ipv4 {
            self.text(":");
            let [.., a, b, c, d] = address.octets();
            self.ipv4(Ipv4Addr::new(a, b, c, d));
        } else if zeros.end == 8 {
            self.text(":");
        }
    }

    /// So many bytes to write, at most [`ROOM`].
    #[inline(always)]
    fn space(&mut self, len: usize) -> &mut [u8] {
        if len > ROOM - self.len {
            self.flush();
        }
        let start = self.len;
        self.len += len;
        &mut self.buffer[start..self.len]
    }

    #[cold]
    fn flush(&mut self) {
        let text = std::str::from_utf8(&self.buffer[..self.len]).map_err(|_| fmt::Error);
        self.len = 0;
        self.result = self.result.and_then(|()| self.out.write_str(text?));
    }
}

/// The first of the longest runs of groups that are 0, of two at least; else an empty one.
fn longest_zeros(groups: &[u16; 8]) -> std::ops::Range<usize> {
    let mut longest = 0..0;
    let mut start = 0;
    for (place, &group) in groups.iter().enumerate() {
        if group != 0 {
            start = place + 1;
        } else if place + 1 - start > longest.len().max(1) {
            longest = start..place + 1;
        }
    }
    longest
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a closure writes.
    struct Written<F: Fn(&mut Line<'_, '_>)>(F);

    impl<F: Fn(&mut Line<'_, '_>)> fmt::Display for Written<F> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            let mut line = Line::new(f);
            (self.0)(&mut line);
            line.finish()
        }
    }

    #[test]
    fn numbers_are_written_as_the_standard_library_writes_them() {
        let mut numbers = vec![0, u64::MAX, u64::MAX - 1, u64::from(u32::MAX)];
        for power in (0..20).map(|digits| 10u64.pow(digits)) {
            numbers.extend([power - 1, power, power + 1]);
        }
        for number in numbers {
            assert_eq!(Written(|line| line.number(number)).to_string(), number.to_string());
        }
        for number in 0..=u16::MAX {
            assert_eq!(Written(|line| line.hexadecimal(number)).to_string(), format!("{number:x}"));
        }
    }

    #[test]
    fn addresses_are_written_as_glibc_writes_them() {
        for (address, text) in [
            ("0.0.0.0", "0.0.0.0"),
            ("10.200.3.255", "10.200.3.255"),
            ("::", "::"),
            ("::1", "::1"),
            ("1::", "1::"),
            ("::ffff:192.0.2.1", "::ffff:192.0.2.1"),
            ("::102:304", "::1.2.3.4"),
            ("::1:0", "::0.1.0.0"),
            ("::ffff:0:102:304", "::ffff:0:102:304"),
            ("0:0:0:0:1:ffff:102:304", "::1:ffff:102:304"),
            ("1:0:0:2:0:0:0:3", "1:0:0:2::3"),
            ("1:0:0:2:3:0:0:4", "1::2:3:0:0:4"),
            ("1:0:2:3:4:5:6:7", "1:0:2:3:4:5:6:7"),
            ("fe80::a:b0:c00:d000", "fe80::a:b0:c00:d000"),
            ("1:2:3:4:5:6::", "1:2:3:4:5:6::"),
            ("1:2:3:4:5:6:7:0", "1:2:3:4:5:6:7:0"),
        ] {
            let address: IpAddr = address.parse().expect("an address");
            assert_eq!(Written(|line| line.address(address)).to_string(), text);
        }
    }

    #[test]
    fn a_line_of_any_length_is_whole() {
        for len in (0..40).chain(490..530).chain([2000]) {
            let long = "ü".repeat(len / 2) + if len % 2 == 0 { "" } else { "x" };
            let line = Written(|line| {
                line.text(&long);
                line.field(" a=", u64::MAX);
                line.text(&long);
                line.text(" ");
                line.address(Ipv6Addr::LOCALHOST.into());
            });
            assert_eq!(line.to_string(), format!("{long} a={}{long} ::1", u64::MAX), "{len}");
        }
    }

    /// What the formatter answers is the answer.
    #[test]
    fn a_full_receiver_is_an_error() {
        struct Full;
        impl fmt::Write for Full {
            fn write_str(&mut self, _: &str) -> fmt::Result {
                Err(fmt::Error)
            }
        }
        for long in ["x".repeat(10), "x".repeat(1000)] {
            let written = Written(|line| {
                line.text(&long);
                line.text(&long);
            });
            assert_eq!(fmt::write(&mut Full, format_args!("{written}")), Err(fmt::Error));
        }
    }
}
