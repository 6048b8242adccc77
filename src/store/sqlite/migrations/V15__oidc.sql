-- Who somebody is at the identity provider that they sign in with: its issuer and their subject.
ALTER TABLE account ADD COLUMN subject TEXT;
CREATE UNIQUE INDEX account_subject ON account (subject) WHERE subject IS NOT NULL;
