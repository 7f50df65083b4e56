//! A process with `CAP_NET_ADMIN` that sends messages to the sockets of the other jobs.

use std::io::ErrorKind::ConnectionRefused;
use std::os::fd::{AsFd, OwnedFd};
use std::thread::sleep;
use std::time::Duration;

use crate::forge::Forge;
use crate::post::{Changes, Job, Tally};
use crate::victims::{self, Victim};
use crate::{Result, raw};

/// The groups of events of flows and expectations: new, changed, deleted.
const GROUPS: u32 = 6;

pub(crate) struct Hostile {
    forge: Forge,
    socket: OwnedFd,
    processes: Vec<u32>,
}

impl Hostile {
    pub(crate) fn open(seed: u64, processes: &[u64]) -> Result<Self> {
        let processes = processes.iter().map(|id| u32::try_from(*id)).collect::<Result<_, _>>()?;
        Ok(Self { forge: Forge::new(seed)?, socket: raw::open(), processes })
    }

    fn attack(&mut self, victim: &Victim, tally: &mut Tally) {
        let message = self.forge.for_socket(victim.port);
        let sent = raw::send(self.socket.as_fd(), victim.port, &message);
        // A socket that is full, or has been closed meanwhile, receives nothing.
        let refused = match sent {
            Ok(()) => false,
            Err(error) if error.kind() == ConnectionRefused => true,
            Err(_) => return,
        };
        tally.operations += 1;
        for what in ["sent", "refused"].iter().take(1 + usize::from(refused)) {
            *tally.errors.entry(format!("{what}-{}", victim.process)).or_default() += 1;
        }
    }
}

impl Job for Hostile {
    fn turn(&mut self, tally: &mut Tally) -> Result<()> {
        let victims = victims::find(&self.processes)?;
        for _ in 0..20 {
            for victim in &victims {
                self.attack(victim, tally);
            }
            let group = self.forge.chance().below(GROUPS) + 1;
            if raw::multicast(self.socket.as_fd(), group, &self.forge.for_group()).is_ok() {
                *tally.errors.entry("multicast".to_owned()).or_default() += 1;
                tally.operations += 1;
            }
            // Answers of the kernel and of other processes to messages that looked like requests.
            while raw::receive(self.socket.as_fd()).is_some() {}
            // Leaves the other jobs time to work.
            sleep(Duration::from_micros(500));
        }
        Ok(())
    }

    fn check(&mut self, _: Changes, _: &mut Tally) -> Result<()> {
        Ok(())
    }
}
