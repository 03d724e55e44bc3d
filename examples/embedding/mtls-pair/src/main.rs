//! Two programs in one that meet over mTLS: each shows its X.509-SVID and lets in whom its pattern names.
//! usage: mtls-pair server|client ADDRESS DIRECTORY PATTERN
//! DIRECTORY holds `svid.pem` (leaf first), `key.pem` (PKCS#8) and `bundle.pem` (the authorities of the SVID's trust domain).
use keyward_svid::tls::{Peers, SvidSource, client_config, peer_id, server_config};
use keyward_svid::x509::{X509Bundle, chain_from_pem, peek_id};
use rustls::pki_types::{PrivateKeyDer, pem::PemObject};
use rustls::{ClientConnection, ServerConnection, Stream, crypto::aws_lc_rs};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::{env, error::Error, fs, path::Path, sync::Arc};

fn source(directory: &Path) -> Result<SvidSource, Box<dyn Error>> {
    let source = SvidSource::new(Arc::new(aws_lc_rs::default_provider()));
    let chain = chain_from_pem(&fs::read_to_string(directory.join("svid.pem"))?)?;
    let trust_domain = peek_id(&chain[0])?.trust_domain().to_owned();
    source.set_svid(chain, PrivateKeyDer::from_pem_file(directory.join("key.pem"))?)?;
    source.set_bundles([X509Bundle::from_pem(trust_domain, &fs::read_to_string(directory.join("bundle.pem"))?)?]);
    Ok(source)
}

fn main() -> Result<(), Box<dyn Error>> {
    let [role, address, directory, pattern] = &env::args().skip(1).collect::<Vec<_>>()[..] else {
        return Err("usage: mtls-pair server|client ADDRESS DIRECTORY PATTERN".into());
    };
    let (source, peers) = (source(Path::new(directory))?, Peers::matching([pattern.parse()?]));
    if role == "client" {
        let config = Arc::new(client_config(&source, peers)?);
        let mut connection = ClientConnection::new(config, "peer.invalid".try_into()?)?;
        let mut socket = TcpStream::connect(address)?;
        let mut answer = String::new();
        Stream::new(&mut connection, &mut socket).read_to_string(&mut answer)?;
        print!("{}: {answer}", peer_id(&connection).ok_or("nobody is there")?);
        return Ok(());
    }
    let config = Arc::new(server_config(&source, peers)?);
    let listener = TcpListener::bind(address)?;
    println!("{}", listener.local_addr()?);
    for socket in listener.incoming() {
        let (mut socket, mut connection) = (socket?, ServerConnection::new(Arc::clone(&config))?);
        match connection.complete_io(&mut socket) {
            Ok(_) if !connection.is_handshaking() => {
                let guest = peer_id(&connection).ok_or("nobody is there")?;
                writeln!(Stream::new(&mut connection, &mut socket), "hello, {guest}")?;
                connection.send_close_notify();
                connection.complete_io(&mut socket)?;
            }
            Ok(_) => println!("refused: the client went away"),
            Err(error) => println!("refused: {error}"),
        }
    }
    Ok(())
}
