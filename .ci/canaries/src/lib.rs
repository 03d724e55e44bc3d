//! One use of everything that `clippy.toml` forbids in libraries.
#![allow(unused)]

use std::net::ToSocketAddrs;

fn methods() {
    std::time::SystemTime::now();
    std::time::Instant::now();
    time::OffsetDateTime::now_utc();
    time::UtcDateTime::now();
    std::thread::sleep(std::time::Duration::ZERO);
    std::thread::spawn(|| ());
    std::env::var("A");
    std::env::var_os("A");
    std::env::vars();
    std::env::args();
    std::env::current_dir();
    std::env::temp_dir();
    std::fs::read("a");
    std::fs::read_to_string("a");
    std::fs::read_dir("a");
    std::fs::write("a", "");
    std::fs::create_dir("a");
    std::fs::create_dir_all("a");
    std::fs::remove_file("a");
    std::fs::rename("a", "b");
    std::fs::metadata("a");
    "localhost:1".to_socket_addrs();
    getrandom::fill(&mut []);
    rand::rng();
    std::process::exit(1);
}

fn types(
    _: std::fs::File,
    _: std::fs::OpenOptions,
    _: std::net::TcpStream,
    _: std::net::TcpListener,
    _: std::net::UdpSocket,
    _: std::os::unix::net::UnixStream,
    _: std::os::unix::net::UnixListener,
    _: std::process::Command,
    _: getrandom::SysRng,
    _: std::io::Stdin,
) {
}
