// Makes the codes of doc/public_codes.tsv by Bouncy Castle's FF1, and the IDs back.
//
//   java -cp bcprov.jar PublicCodes.java public_codes.tsv
//
// Prints how many agree. It first checks Bouncy Castle itself by a sample of NIST's.

import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.bouncycastle.crypto.fpe.FPEFF1Engine;
import org.bouncycastle.crypto.params.FPEParameters;
import org.bouncycastle.crypto.params.KeyParameter;
import org.bouncycastle.util.encoders.Hex;

public class PublicCodes {
    static final String ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

    static byte[] ff1(boolean encrypt, byte[] key, byte[] tweak, int radix, byte[] digits) {
        FPEFF1Engine engine = new FPEFF1Engine();
        engine.init(encrypt, new FPEParameters(new KeyParameter(key), radix, tweak));
        byte[] result = new byte[digits.length];
        engine.processBlock(digits, 0, digits.length, result, 0);
        return result;
    }

    static byte[] digits(BigInteger number, int radix, int count) {
        byte[] digits = new byte[count];
        for (int i = count; i-- > 0; number = number.divide(BigInteger.valueOf(radix)))
            digits[i] = number.mod(BigInteger.valueOf(radix)).byteValue();
        return digits;
    }

    static BigInteger number(byte[] digits, int radix) {
        BigInteger number = BigInteger.ZERO;
        for (byte digit : digits)
            number = number.multiply(BigInteger.valueOf(radix)).add(BigInteger.valueOf(digit));
        return number;
    }

    static void require(boolean holds, String what) {
        if (!holds) throw new IllegalStateException(what);
    }

    static void checkNistSample9() {
        byte[] key = Hex.decode("2B7E151628AED2A6ABF7158809CF4F3CEF4359D8D580AA4F7F036D6F04FC6A94");
        byte[] tweak = Hex.decode("3737373770717273373737");
        byte[] plain = digits(new BigInteger("0123456789abcdefghi", 36), 36, 19);
        BigInteger sealed = number(ff1(true, key, tweak, 36, plain), 36);
        require(sealed.equals(new BigInteger("xs8a0azh2avyalyzuwd", 36)), "NIST's sample 9");
    }

    public static void main(String[] arguments) throws Exception {
        checkNistSample9();
        List<String> lines = Files.readAllLines(Path.of(arguments[0]));
        for (String line : lines.subList(1, lines.size())) {
            String[] columns = line.split("\t", -1);
            int keyNumber = Integer.parseInt(columns[0]);
            byte[] key = Hex.decode(columns[1]);
            byte[] tweak = ((char) keyNumber + columns[2]).getBytes(StandardCharsets.UTF_8);
            byte[] id = digits(new BigInteger(columns[3]), 2, 63);

            byte[] sealed = ff1(true, key, tweak, 2, id);
            BigInteger value = number(sealed, 2).or(BigInteger.valueOf(keyNumber).shiftLeft(63));
            StringBuilder code = new StringBuilder();
            for (byte digit : digits(value, 32, 13)) code.append(ALPHABET.charAt(digit));
            require(code.toString().equals(columns[4]), line + ": " + code);
            byte[] opened = ff1(false, key, tweak, 2, sealed);
            require(number(opened, 2).toString().equals(columns[3]), line);
        }
        System.out.println(lines.size() - 1 + " agree");
    }
}
