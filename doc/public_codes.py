"""Seals IDs to public codes and opens them again, as timeshard_seal() and timeshard_open()
do: see "Open codes in an application" in public-codes.md.

Needs the package "cryptography" (Debian: python3-cryptography).

    python3 public_codes.py KEY_FILE seal PURPOSE ID...
    python3 public_codes.py KEY_FILE open PURPOSE CODE...
"""
import sys

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base32


def ff1(key: bytes, tweak: bytes, radix: int, n: int, number: int, decrypt: bool = False) -> int:
    """FF1 of NIST SP 800-38G with AES: a number of n digits in this radix to another."""
    u, v = n // 2, n - n // 2
    b = ((radix**v - 1).bit_length() + 7) // 8
    d = 4 * ((b + 3) // 4) + 4  # at most 16 here, so one block is enough
    p = bytes([1, 2, 1]) + radix.to_bytes(3, "big") + bytes([10, u % 256])
    p += n.to_bytes(4, "big") + len(tweak).to_bytes(4, "big")
    padded = tweak + bytes(-(len(tweak) + b + 1) % 16)

    def y(i: int, half: int) -> int:
        mac = Cipher(algorithms.AES(key), modes.CBC(bytes(16))).encryptor()
        blocks = mac.update(p + padded + bytes([i]) + half.to_bytes(b, "big"))
        return int.from_bytes(blocks[-16:][:d], "big")

    first, second = divmod(number, radix**v)
    for i in reversed(range(10)) if decrypt else range(10):
        modulus = radix ** (v if i % 2 else u)
        if decrypt:
            first, second = (second - y(i, first)) % modulus, first
        else:
            first, second = second, (first + y(i, second)) % modulus
    return first * radix**v + second


def seal(key_number: int, key: bytes, purpose: str, id: int) -> str:
    if not 0 <= id < 2**63:
        raise ValueError("not an ID")
    tweak = bytes([key_number]) + purpose.encode("utf-8")
    value = key_number << 63 | ff1(key, tweak, 2, 63, id)
    return "".join(ALPHABET[value >> shift & 31] for shift in range(60, -1, -5))


def open_code(keys: dict[int, bytes], purpose: str, code: str) -> int:
    code = code.upper().translate(str.maketrans("ILO", "110"))
    if len(code) != 13 or not set(code) <= set(ALPHABET):
        raise ValueError("not a public code")
    value = 0
    for character in code:
        value = value << 5 | ALPHABET.index(character)
    key_number, sealed = divmod(value, 2**63)
    if key_number not in keys:
        raise ValueError("sealed with another key")
    tweak = bytes([key_number]) + purpose.encode("utf-8")
    return ff1(keys[key_number], tweak, 2, 63, sealed, decrypt=True)


def read_key_file(path: str) -> dict[int, bytes]:
    """The keys by their numbers; the first one seals."""
    with open(path, encoding="ascii") as lines:
        return {int(number): bytes.fromhex(key) for number, key in map(str.split, lines)}


def main(path: str, action: str, purpose: str, *values: str) -> None:
    keys = read_key_file(path)
    key_number = next(iter(keys))
    for value in values:
        if action == "seal":
            print(seal(key_number, keys[key_number], purpose, int(value)))
        else:
            print(open_code(keys, purpose, value))


if __name__ == "__main__":
    if len(sys.argv) < 4 or sys.argv[2] not in ("seal", "open"):
        sys.exit(__doc__)
    main(*sys.argv[1:])
