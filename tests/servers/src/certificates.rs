//! Certificates for servers on this machine, from an authority that nobody else knows.

use std::{fs, path::PathBuf};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use super::Directory;

/// Files with an authority's certificate, and with the certificate and the key of a server at 127.0.0.1.
pub struct Certificates {
    directory: Directory,
}

impl Certificates {
    pub fn new() -> Self {
        let directory = Directory::new();
        let (authority_key, server_key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = authority.self_signed(&authority_key).unwrap();
        let issuer = Issuer::new(authority, authority_key);
        let names = ["127.0.0.1", "localhost"].map(str::to_owned).to_vec();
        let server = CertificateParams::new(names).unwrap().signed_by(&server_key, &issuer).unwrap();
        for (name, text) in [
            ("authority.pem", certificate.pem()),
            ("server.pem", server.pem()),
            ("server.key", server_key.serialize_pem()),
        ] {
            fs::write(directory.path().join(name), text).unwrap();
        }
        Self { directory }
    }

    pub fn authority(&self) -> PathBuf {
        self.directory.path().join("authority.pem")
    }

    pub fn server(&self) -> PathBuf {
        self.directory.path().join("server.pem")
    }

    pub fn key(&self) -> PathBuf {
        self.directory.path().join("server.key")
    }
}
