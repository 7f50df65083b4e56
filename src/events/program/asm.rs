//! Instructions, labels that tests jump to, and the facts known at each.
//!
//! Every test jumps forward, so all paths to a label are known when it is placed: the facts that they share
//! hold after it.

use super::known::Known;

/// A place in the program that tests jump to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Label(usize);

/// Where an event passes.
pub(super) const PASS: Label = Label(0);
/// Where it is dropped.
pub(super) const DROP: Label = Label(1);

/// The most instructions that the kernel takes (`BPF_MAXINSNS`).
pub(super) const MOST: usize = libc::BPF_MAXINSNS as usize;

#[derive(Debug, Clone, Copy)]
enum Op {
    Step { code: u32, k: u32 },
    Test { code: u32, k: u32, yes: Label, no: Label },
    Go(Label),
}

#[derive(Debug, Default)]
struct Target {
    /// The place, as the number of an operation.
    at: Option<usize>,
    /// The facts shared by all paths that lead here so far.
    known: Option<Known>,
}

/// A program that is being written.
#[derive(Debug)]
pub(super) struct Code {
    ops: Vec<Op>,
    labels: Vec<Target>,
    /// The facts at the end; `None` if no path leads to it.
    now: Option<Known>,
}

impl Code {
    pub(super) fn new() -> Self {
        let labels = vec![Target::default(), Target::default()];
        Self { ops: Vec::new(), labels, now: Some(Known::default()) }
    }

    /// The facts known here; `None` if no path leads here.
    pub(super) fn known(&mut self) -> Option<&mut Known> {
        self.now.as_mut()
    }

    pub(super) fn label(&mut self) -> Label {
        self.labels.push(Target::default());
        Label(self.labels.len() - 1)
    }

    /// Places a label here.
    pub(super) fn place(&mut self, label: Label) {
        let target = &mut self.labels[label.0];
        target.at = Some(self.ops.len());
        match (&mut self.now, target.known.take()) {
            (Some(now), Some(known)) => now.meet(&known),
            (now @ None, known) => *now = known,
            (Some(_), None) => {}
        }
    }

    /// Adds an instruction. A program that is too long is cut off, since [`linked`](Self::linked) refuses it.
    pub(super) fn step(&mut self, code: u32, k: u32) {
        if self.now.is_some() && self.ops.len() <= MOST {
            self.ops.push(Op::Step { code, k });
        }
    }

    /// Adds a test with both its targets. `learn`: adds the facts known if it is true.
    pub(super) fn test(&mut self, code: u32, k: u32, yes: Label, no: Label, learn: impl FnOnce(&mut Known)) {
        let Some(mut known) = self.now.take() else { return };
        self.arrive(no, &known);
        learn(&mut known);
        self.arrive(yes, &known);
        if self.ops.len() <= MOST {
            self.ops.push(Op::Test { code: libc::BPF_JMP | code, k, yes, no });
        }
    }

    /// Jumps from here.
    pub(super) fn go(&mut self, to: Label) {
        let Some(known) = self.now.take() else { return };
        self.arrive(to, &known);
        if self.ops.len() <= MOST {
            self.ops.push(Op::Go(to));
        }
    }

    fn arrive(&mut self, label: Label, known: &Known) {
        match &mut self.labels[label.0].known {
            Some(common) => common.meet(known),
            common => *common = Some(known.clone()),
        }
    }

    /// Whether the program is too long already.
    pub(super) fn is_too_long(&self) -> bool {
        self.ops.len() > MOST
    }

    /// Whether some path leads to a label that was not placed yet.
    pub(super) fn leads_to(&self, label: Label) -> bool {
        self.labels[label.0].known.is_some()
    }

    /// The instructions, ending with the two that pass and drop a message. `None` for too many.
    pub(super) fn linked(mut self) -> Option<Vec<libc::sock_filter>> {
        if self.is_too_long() {
            return None;
        }
        for (label, bytes) in [(PASS, u32::MAX), (DROP, 0)] {
            self.labels[label.0].at = Some(self.ops.len());
            self.ops.push(Op::Step { code: libc::BPF_RET | libc::BPF_K, k: bytes });
        }
        let mut link =
            Link { code: &self, written: Vec::new(), starts: vec![0; self.ops.len()], jumps: Vec::new() };
        link.jumps.resize(self.ops.len(), None);
        for (number, op) in self.ops.iter().enumerate().rev() {
            link.write(op);
            link.starts[number] = link.written.len();
        }
        let mut written = link.written;
        written.reverse();
        (written.len() <= MOST).then_some(written)
    }
}

/// Writes a program from its end, so that all distances ahead are known. Places are counted from the end:
/// that of an instruction is the number of instructions after it.
struct Link<'c> {
    code: &'c Code,
    /// The last instruction first.
    written: Vec<libc::sock_filter>,
    /// How many instructions there are from the beginning of an operation on.
    starts: Vec<usize>,
    /// The nearest jump to an operation, by its place. Tests too far from the operation use it.
    jumps: Vec<Option<usize>>,
}

impl Link<'_> {
    fn write(&mut self, op: &Op) {
        match *op {
            Op::Step { code, k } => self.push(code, [0, 0], k),
            Op::Go(to) => {
                let target = self.target(to);
                // No jump is needed to the next instruction.
                if self.starts[target] != self.written.len() {
                    self.jump(target);
                }
            }
            Op::Test { code, k, yes, no } => {
                let ends = [yes, no].map(|end| self.target(end));
                let far: Vec<usize> = ends.into_iter().filter(|end| self.lead(*end, 2).is_none()).collect();
                far.iter().for_each(|end| self.jump(*end));
                let [jt, jf] = ends.map(|end| self.lead(end, 0).expect("a jump to what is far"));
                self.push(code, [jt, jf], k);
            }
        }
    }

    /// The operation after a label; if that is only a jump, its target.
    fn target(&self, label: Label) -> usize {
        let target = self.code.labels[label.0].at.expect("every label that is led to is placed");
        match self.code.ops[target] {
            Op::Go(to) => self.target(to),
            _ => target,
        }
    }

    /// How many instructions a test skips that is `more` instructions before the written ones, to an
    /// operation or a jump to it. `None`: too many.
    fn lead(&self, target: usize, more: usize) -> Option<u8> {
        let over = |start: usize| u8::try_from(self.written.len() + more - start).ok();
        over(self.starts[target]).or_else(|| self.jumps[target].and_then(|jump| over(jump + 1)))
    }

    /// The end of the program is reached by a jump too: after a return in the middle, the kernel would count
    /// only memory stored before it as initialized (`check_load_and_stores`).
    fn jump(&mut self, target: usize) {
        self.jumps[target] = Some(self.written.len());
        let over = self.written.len() - self.starts[target];
        self.push(libc::BPF_JMP | libc::BPF_JA, [0, 0], over as u32);
    }

    fn push(&mut self, code: u32, [jt, jf]: [u8; 2], k: u32) {
        self.written.push(libc::sock_filter { code: code as u16, jt, jf, k });
    }
}
