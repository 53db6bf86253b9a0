use super::*;

// The two vectors of the definition.
const PBKDF2: &str = r#"{"crypto":{"cipher":"aes-128-ctr","cipherparams":{"iv":"6087dab2f9fdbbfaddc31a909735c1e6"},"ciphertext":"5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46","kdf":"pbkdf2","kdfparams":{"c":262144,"dklen":32,"prf":"hmac-sha256","salt":"ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd"},"mac":"517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2"},"id":"3198bc9c-6672-5ab3-d995-4942343ae5b6","version":3}"#;
const SCRYPT: &str = r#"{"crypto":{"cipher":"aes-128-ctr","cipherparams":{"iv":"83dbcc02d8ccb40e466191a123791e0e"},"ciphertext":"d172bf743a674da9cdad04534d56926ef8358534d458fffccd4e6ad2fbde479c","kdf":"scrypt","kdfparams":{"dklen":32,"n":262144,"p":8,"r":1,"salt":"ab0c7876052600dd703518d6fc3fe8984592145b591fc8fb5c6d43190334ba19"},"mac":"2103ac29920d71da29f15d75b4a16dbe95cfd7ff8faea1056c33131d846e3097"},"id":"3198bc9c-6672-5ab3-d995-4942343ae5b6","version":3}"#;

fn check(file: &str, password: &str, expect: Result<&str, KeystoreError>) {
    let opened = decrypt(file.as_bytes(), password.as_bytes()).map(|secret| hex::encode(*secret));
    assert_eq!(opened, expect.map(String::from), "{file}");
}

fn refused(file: &str) {
    let opened = decrypt(file.as_bytes(), b"testpassword");
    assert!(matches!(opened, Err(KeystoreError::Format(_))), "{file}: {opened:?}");
}

#[test]
fn vectors_of_the_definition() {
    let key = "7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d";
    check(PBKDF2, "testpassword", Ok(key));
    check(SCRYPT, "testpassword", Ok(key));
    check(PBKDF2, "wrong", Err(KeystoreError::Password));
    check(&PBKDF2.replace("5318b4d5", "5318b4d6"), "testpassword", Err(KeystoreError::Password));
}

#[test]
fn files_that_are_none_or_cost_too_much_are_refused_at_once() {
    refused("{}");
    refused(&PBKDF2.replace("\"version\":3", "\"version\":1"));
    refused(&PBKDF2.replace("aes-128-ctr", "aes-128-cbc"));
    refused(&PBKDF2.replace("\"c\":262144", "\"c\":4294967295"));
    refused(&PBKDF2.replace("\"c\":262144", "\"c\":0"));
    refused(&PBKDF2.replace("hmac-sha256", "hmac-sha512"));
    refused(&PBKDF2.replace("\"dklen\":32", "\"dklen\":16"));
    refused(&SCRYPT.replace("262144", "1099511627776"));
    refused(&SCRYPT.replace("262144", "262143"));
    refused(&SCRYPT.replace("\"p\":8", "\"p\":4294967295"));
    refused(&SCRYPT.replace("\"r\":1", "\"r\":0"));
    refused(&SCRYPT.replace("\"r\":1", "\"r\":4294967295"));
}

#[test]
fn what_is_written_is_read_again() {
    let secret = Secret::new([7; 32]);
    let address = Address::repeat_byte(0xa1);
    let light = Kdf::Scrypt { n: 4, r: 8, p: 1, dklen: 32, salt: vec![1; 32] };
    let rounds = Kdf::Pbkdf2 { c: 2, dklen: 32, prf: "hmac-sha256".into(), salt: vec![2; 32] };
    for kdf in [light, rounds, Kdf::light([3; 32])] {
        let file = encrypt(&secret, address, b"password", kdf, [4; 16], [5; 16]).unwrap();
        assert_eq!(decrypt(file.as_bytes(), b"password").unwrap(), secret, "{file}");
        assert_eq!(decrypt(file.as_bytes(), b"passwort"), Err(KeystoreError::Password), "{file}");
        assert_eq!(address_of(file.as_bytes()).unwrap(), Some(address), "{file}");
    }
    assert_eq!(address_of(SCRYPT.as_bytes()).unwrap(), None);
}
