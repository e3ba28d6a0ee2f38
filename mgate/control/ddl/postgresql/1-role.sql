-- The role that mgate logs in as. It has no password: it comes with a certificate whose common name is the role's.
--
-- pg_hba.conf, above every line that would let it in otherwise (10.1.2.3 is the host of mgate):
--     hostssl  core  mgate  10.1.2.3/32  cert  clientcert=verify-full
-- postgresql.conf:
--     ssl = on, ssl_cert_file and ssl_key_file: the server's certificate, with its host names in subjectAltName,
--     ssl_ca_file: the authority that issued mgate's certificate, ssl_min_protocol_version = 'TLSv1.2'
--
-- What it may do stands in the other files; that is all it may do.
CREATE ROLE mgate LOGIN
    NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS
    -- One line for rows, one for results, one for NOTIFY, one for `mgatectl source check`, one for the reckoning, and
    -- one for each call that runs at a time.
    CONNECTION LIMIT 8;

-- mgate sets these for itself on each connection; they hold whoever else gets hold of the certificate.
ALTER ROLE mgate SET statement_timeout = '2s';
ALTER ROLE mgate SET lock_timeout = '1s';
ALTER ROLE mgate SET idle_in_transaction_session_timeout = '2s';
