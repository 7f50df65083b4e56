//! Classic BPF as the kernel runs it on a message (`net/core/filter.c`), and its checks before.

use super::Order;

/// The first offset of the loads that search.
const ANCILLARY: u32 = libc::SKF_AD_OFF as u32;

/// The kernel's checks of a program (`bpf_check_classic`, `check_load_and_stores`).
pub(super) fn check(program: &[libc::sock_filter]) -> Result<(), String> {
    if program.is_empty() || program.len() > libc::BPF_MAXINSNS as usize {
        return Err(format!("{} instructions", program.len()));
    }
    // The places in memory that were written on every path to an instruction.
    let mut ways = vec![u32::MAX; program.len()];
    let mut written = 0;
    for (at, step) in program.iter().enumerate() {
        written &= ways[at];
        let code = u32::from(step.code);
        let mut lead = |over: u32, written: u32| match ways.get_mut(at + 1 + over as usize) {
            Some(way) => {
                *way &= written;
                Ok(())
            }
            None => Err(format!("{at} leads out of the program")),
        };
        match code & 7 {
            libc::BPF_ST | libc::BPF_STX if step.k < 16 => written |= 1 << step.k,
            libc::BPF_LD | libc::BPF_LDX if code & 0xe0 == libc::BPF_MEM => {
                if step.k >= 16 || written >> step.k & 1 == 0 {
                    return Err(format!("{at} loads what was not stored"));
                }
            }
            libc::BPF_JMP if code & 0xf0 == libc::BPF_JA => {
                lead(step.k, written)?;
                written = u32::MAX;
            }
            libc::BPF_JMP => {
                lead(step.jt.into(), written)?;
                lead(step.jf.into(), written)?;
                written = u32::MAX;
            }
            libc::BPF_RET | libc::BPF_LD | libc::BPF_LDX | libc::BPF_ALU | libc::BPF_MISC => {}
            _ => return Err(format!("{at} is no instruction: {code:#x}")),
        }
    }
    match program.last() {
        Some(last) if u32::from(last.code) & 7 == libc::BPF_RET => Ok(()),
        _ => Err("no end".to_owned()),
    }
}

/// The result of a program for a message, and the number of instructions run.
pub(super) fn run(program: &[libc::sock_filter], message: &[u8]) -> (u32, usize) {
    run_in(Order::NATIVE, program, message)
}

/// The same on a machine of this byte order.
pub(super) fn run_in(order: Order, program: &[libc::sock_filter], message: &[u8]) -> (u32, usize) {
    let (mut a, mut x, mut memory) = (0u32, 0u32, [0u32; 16]);
    let (mut at, mut count) = (0, 0);
    loop {
        let libc::sock_filter { code, jt, jf, k } = program[at];
        (at, count) = (at + 1, count + 1);
        let code = u32::from(code);
        let operand = if code & libc::BPF_X != 0 { x } else { k };
        match code & 7 {
            libc::BPF_RET => return (k, count),
            libc::BPF_ST => memory[k as usize] = a,
            libc::BPF_LDX if code & 0xe0 == libc::BPF_MEM => x = memory[k as usize],
            libc::BPF_LDX => x = k,
            libc::BPF_LD => {
                a = match code & 0xe0 {
                    libc::BPF_IMM => k,
                    libc::BPF_MEM => memory[k as usize],
                    libc::BPF_ABS if k >= ANCILLARY => find(order, message, a, x, k - ANCILLARY),
                    mode => {
                        let from = if mode == libc::BPF_IND { x.wrapping_add(k) } else { k };
                        let size = [4, 2, 1][(code >> 3 & 3) as usize];
                        match message.get(from as usize..).and_then(|rest| rest.get(..size)) {
                            Some(bytes) => bytes.iter().fold(0, |word, byte| word << 8 | u32::from(*byte)),
                            // A load from outside ends the program.
                            None => return (0, count),
                        }
                    }
                };
            }
            libc::BPF_ALU => {
                a = match code & 0xf0 {
                    libc::BPF_AND => a & operand,
                    libc::BPF_OR => a | operand,
                    libc::BPF_MUL => a.wrapping_mul(operand),
                    other => panic!("no calculation of ours: {other:#x}"),
                }
            }
            libc::BPF_MISC => x = a,
            libc::BPF_JMP => {
                let holds = match code & 0xf0 {
                    libc::BPF_JA => {
                        at += k as usize;
                        continue;
                    }
                    libc::BPF_JEQ => a == operand,
                    libc::BPF_JGE => a >= operand,
                    libc::BPF_JSET => a & operand != 0,
                    other => panic!("no test of ours: {other:#x}"),
                };
                at += usize::from(if holds { jt } else { jf });
            }
            other => panic!("no instruction of ours: {other:#x}"),
        }
    }
}

/// `bpf_skb_get_nlattr` and `bpf_skb_get_nlattr_nest`.
fn find(order: Order, message: &[u8], from: u32, kind: u32, how: u32) -> u32 {
    let len = message.len() as u32;
    if len < 4 || from > len - 4 {
        return 0;
    }
    let half = |at: u32| {
        let bytes = [message[at as usize], message[at as usize + 1]];
        u32::from(match order {
            Order::Little => u16::from_le_bytes(bytes),
            Order::Big => u16::from_be_bytes(bytes),
        })
    };
    let fits = |at: u32, end: u32| end >= at + 4 && half(at) >= 4 && half(at) <= end - at;
    let (mut at, end) = match how as i32 {
        libc::SKF_AD_NLATTR => (from, len),
        libc::SKF_AD_NLATTR_NEST if fits(from, len) => (from + 4, from + half(from)),
        libc::SKF_AD_NLATTR_NEST => return 0,
        other => panic!("no load of ours: {other}"),
    };
    while at < end && fits(at, end) {
        if half(at + 2) & 0x3fff == kind {
            return at;
        }
        at += half(at).next_multiple_of(4);
    }
    0
}
