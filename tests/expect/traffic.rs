//! Expectations of the kernel's own helpers, on real connections.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::Command;

use crate::common::{self, nft, run, socket};
use netfilter_conntrack::model::{Direction, ExpectationFlags, ExpectationNat, Family, SourceMask};
use netfilter_conntrack::{Error, Expectation, Flow, Handle, Result, Status, Tuple};

/// Helpers for the control connections from here, and a count of their related connections.
const RULES: &str = "table inet filter {
    counter related { }
    ct helper ftp { type \"ftp\" protocol tcp; }
    ct helper tftp { type \"tftp\" protocol udp; }
    chain output {
        type filter hook output priority filter;
        tcp dport 21 ct helper set \"ftp\"
        udp dport 69 ct helper set \"tftp\"
        ct state related counter name related
    }
}";

fn with_helpers() {
    run("ip", &["link", "set", "lo", "up"]);
    nft(RULES);
}

/// The number of packets that the firewall saw as related.
fn related() -> u32 {
    let output = run("nft", &["list", "counter", "inet", "filter", "related"]);
    let text = String::from_utf8(output.stdout).expect("text");
    let count = text.split_whitespace().skip_while(|word| *word != "packets").nth(1);
    count.and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("{text}"))
}

fn expected(handle: &mut Handle) -> Vec<Expectation> {
    let entries = handle.expectations().dump().entries();
    entries.and_then(Iterator::collect::<Result<_>>).expect("a dump")
}

/// The flow of a connection, from the client's side.
fn flow_of(handle: &mut Handle, stream: &TcpStream) -> Flow {
    let (src, dst) = (stream.local_addr().expect("connected"), stream.peer_addr().expect("connected"));
    handle.get(Tuple::tcp(src, dst).expect("a tuple")).expect("a flow")
}

/// A control connection: the client's side, and the server's socket for writing.
struct Control {
    client: BufReader<TcpStream>,
    server: TcpStream,
}

impl Control {
    fn open(address: &str) -> Self {
        Self::open_by(address, 21)
    }

    /// The client connects to another port than the server's own.
    fn open_by(address: &str, port: u16) -> Self {
        let listener = TcpListener::bind((address, 21)).expect("port 21");
        let client = TcpStream::connect((address, port)).expect("connected");
        let (mut server, _) = listener.accept().expect("accepted");
        // The helper reads nothing before the first line.
        server.write_all(b"220 ready\r\n").expect("written");
        let mut control = Self { client: BufReader::new(client), server };
        assert_eq!(control.read(), "220 ready\r\n");
        control
    }

    fn read(&mut self) -> String {
        let mut line = String::new();
        self.client.read_line(&mut line).expect("a line");
        line
    }

    /// The client requests a data connection, and the server answers with an address in its own format.
    fn ask(&mut self, command: &str, answer: &str) {
        self.client.get_mut().write_all(command.as_bytes()).expect("written");
        self.server.write_all(answer.as_bytes()).expect("written");
        assert_eq!(self.read(), answer);
    }

    fn tuple(&self) -> Tuple {
        let stream = self.client.get_ref();
        Tuple::tcp(stream.local_addr().expect("connected"), stream.peer_addr().expect("connected"))
            .expect("a tuple")
    }
}

/// The helper reads the server's answer, and the data connection belongs to its master.
fn passive_ftp(handle: &mut Handle, address: &str, command: &str, answer: impl Fn(u16) -> String) {
    let before = related();
    let mut control = Control::open(address);
    let listener = TcpListener::bind((address, 0)).expect("a port");
    let server = listener.local_addr().expect("bound");
    control.ask(command, &answer(server.port()));

    let found = expected(handle);
    assert_eq!(found.len(), 1, "{found:?}");
    let expectation = &found[0];
    let family = Family::of(&server.ip());
    let data = Tuple::tcp(SocketAddr::new(server.ip(), 0), server).expect("a tuple");
    assert_eq!((expectation.master, expectation.expected), (control.tuple(), data));
    assert_eq!(expectation.mask, SourceMask::any_port(family));
    assert_eq!(expectation.helper.map(|name| name.to_string()).as_deref(), Some("ftp"));
    assert_eq!((expectation.class, expectation.flags), (Some(0), ExpectationFlags::empty()));

    let stream = TcpStream::connect(server).expect("the data connection");
    let flow = flow_of(handle, &stream);
    assert!(expectation.matches(&flow.original));
    assert_eq!(flow.master(), Some(control.tuple()));
    assert!(flow.status.is_some_and(|status| status.contains(Status::EXPECTED)));
    assert!(related() > before);
    assert_eq!(expected(handle), [], "it was fulfilled");
    assert!(matches!(handle.expectations().delete(expectation), Err(Error::NotFound(_))));
}

#[test]
fn ftp_over_ipv4() {
    let mut handle = require_kernel!("nft", "ip");
    with_helpers();
    passive_ftp(&mut handle, "127.0.0.1", "PASV\r\n", |port| {
        format!("227 Entering Passive Mode (127,0,0,1,{},{})\r\n", port >> 8, port & 0xff)
    });
}

#[test]
fn ftp_over_ipv6() {
    let mut handle = require_kernel!("nft", "ip");
    with_helpers();
    passive_ftp(&mut handle, "::1", "EPSV\r\n", |port| {
        format!("229 Entering Extended Passive Mode (|||{port}|)\r\n")
    });
}

/// Returns whether the helper supports translation: it is in a module that no rule loads.
fn translates_ftp() -> bool {
    // Without the rights or the module, the kernel's symbols show it.
    let _ = Command::new("modprobe").arg("nf_nat_ftp").env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin").output();
    std::fs::read_to_string("/proc/kallsyms").is_ok_and(|symbols| symbols.contains("nf_nat_ftp"))
}

/// For a translated control connection, the helper also sets the translation of its data connections.
#[test]
fn ftp_with_translation() {
    let mut handle = require_kernel!("nft", "ip");
    if !translates_ftp() {
        return common::skip("the kernel has no nf_nat_ftp, or it is not loaded");
    }
    with_helpers();
    nft("table ip nat {
        chain output { type nat hook output priority -150; tcp dport 2121 redirect to :21; }
    }");
    let mut control = Control::open_by("127.0.0.1", 2121);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let server = listener.local_addr().expect("bound");
    let port = server.port();
    control.ask("EPSV\r\n", &format!("229 Entering Extended Passive Mode (|||{port}|)\r\n"));

    let found = expected(&mut handle);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].master, control.tuple());
    assert_eq!(found[0].nat, Some(ExpectationNat { direction: Direction::Original, address: None, port }));
    assert_eq!(found[0].function.as_deref(), Some(Expectation::NAT_FOLLOW_MASTER));
    let stream = TcpStream::connect(server).expect("the data connection");
    assert_eq!(flow_of(&mut handle, &stream).master(), Some(control.tuple()));
}

/// The answer comes from a port that was not announced.
#[test]
fn tftp() {
    let mut handle = require_kernel!("nft", "ip");
    with_helpers();
    let bind = |port| UdpSocket::bind(("127.0.0.1", port)).expect("a port");
    let (server, client, answering) = (bind(69), bind(0), bind(0));
    client.send_to(b"\0\x01file\0octet\0", server.local_addr().expect("bound")).expect("sent");

    let client = client.local_addr().expect("bound");
    let request = Tuple::udp(client, socket("127.0.0.1:69")).expect("a tuple");
    let found = expected(&mut handle);
    assert_eq!(found.len(), 1, "{found:?}");
    let answer = Tuple::udp(socket("127.0.0.1:0"), client).expect("a tuple");
    assert_eq!((found[0].master, found[0].expected), (request, answer));

    answering.send_to(b"\0\x03\0\x01data", client).expect("sent");
    let tuple = Tuple::udp(answering.local_addr().expect("bound"), client).expect("a tuple");
    assert!(found[0].matches(&tuple));
    assert_eq!(handle.get(tuple).expect("a flow").master(), Some(request));
    assert_eq!(expected(&mut handle), []);
}

/// An expectation made by hand works like the helper's own; a permanent one works twice.
#[test]
fn made_by_hand() {
    let mut handle = require_kernel!("nft", "ip");
    with_helpers();
    let control = Control::open("127.0.0.1");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let server = listener.local_addr().expect("bound");
    let data = Tuple::tcp(socket("127.0.0.1:0"), server).expect("a tuple");
    let expectation =
        Expectation::new(control.tuple(), data).from_any_port().flags(ExpectationFlags::PERMANENT);
    handle.expectations().create(&expectation).expect("created");
    for _ in 0..2 {
        let stream = TcpStream::connect(server).expect("a data connection");
        assert_eq!(flow_of(&mut handle, &stream).master(), Some(control.tuple()));
    }
    let found = handle.expectations().get(data).expect("still there");
    handle.expectations().delete(&found).expect("deleted");
    let stream = TcpStream::connect(server).expect("a connection");
    assert_eq!(flow_of(&mut handle, &stream).master(), None);
}

/// A connection announced for one port arrives at another.
#[test]
fn made_by_hand_with_translation() {
    let mut handle = require_kernel!("nft", "ip");
    with_helpers();
    nft("table ip nat { chain output { type nat hook output priority -100; }; }");
    let control = Control::open("127.0.0.1");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let real = listener.local_addr().expect("bound");
    let announced = socket("127.0.0.1:5000");
    let data = Tuple::tcp(socket("127.0.0.1:0"), announced).expect("a tuple");
    let expectation = Expectation::new(control.tuple(), data)
        .from_any_port()
        .follow_master(Direction::Original, real.port());
    handle.expectations().create(&expectation).expect("created");

    let stream = TcpStream::connect(announced).expect("translated");
    let (_, client) = listener.accept().expect("accepted");
    assert_eq!(client, stream.local_addr().expect("connected"));
    let flow = flow_of(&mut handle, &stream);
    assert_eq!(flow.master(), Some(control.tuple()));
    assert_eq!(flow.reply, Tuple::tcp(real, client).expect("a tuple"));
    assert!(flow.status.is_some_and(|status| status.contains(Status::DST_NAT)));
}
