// A holder of customers' data that knows nothing but Kafka and JSON: it keeps one folder of files per customer.
// java -cp <kafka-clients and jackson> Holder.java BOOTSTRAP TOPIC_PREFIX NAME FOLDER
// What each step must do, and why, is in docs/holder-protocol.md.
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.time.Duration;
import java.time.Instant;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.stream.Stream;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

public class Holder {
    static final ObjectMapper JSON = new ObjectMapper();
    final String prefix, name;
    final Path data, holds, answers;
    final KafkaProducer<String, String> producer;

    Holder(String bootstrap, String prefix, String name, Path folder) throws IOException {
        this.prefix = prefix;
        this.name = name;
        data = Files.createDirectories(folder.resolve("data"));
        holds = Files.createDirectories(folder.resolve("holds"));
        answers = Files.createDirectories(folder.resolve("answers"));
        producer = new KafkaProducer<>(Map.of("bootstrap.servers", bootstrap, "acks", "all"), new StringSerializer(), new StringSerializer());
    }

    public static void main(String[] a) throws Exception {
        var settings = Map.<String, Object>of("bootstrap.servers", a[0], "group.id", a[1] + "holder." + a[2],
                "enable.auto.commit", "false", "auto.offset.reset", "earliest", "isolation.level", "read_committed");
        var holder = new Holder(a[0], a[1], a[2], Path.of(a[3]));
        try (var consumer = new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer())) {
            consumer.subscribe(Stream.of("LegalHoldPlaced", "LegalHoldReleased", "DeletionRequested").map(t -> a[1] + t).toList());
            while (true) {
                var records = consumer.poll(Duration.ofSeconds(1));
                // Holds first: one that was read together with a command counts.
                for (var record : records) if (!record.topic().endsWith("DeletionRequested")) holder.hold(record);
                for (var record : records) if (record.topic().endsWith("DeletionRequested")) holder.command(record);
                // Only now: a crash before this means reading again, and every step may be done again.
                consumer.commitSync();
            }
        }
    }

    /** The event's own fields: a CloudEvent has them under "data", plain JSON is them. */
    static JsonNode event(ConsumerRecord<String, String> record) throws IOException {
        var value = JSON.readTree(record.value());
        return value.has("specversion") ? value.get("data") : value;
    }

    /** An id becomes part of a path, so it must be what the protocol says that an id is. */
    static String customer(JsonNode event) {
        var id = event.get("customer_id").asText();
        if (!id.matches("[A-Za-z0-9][A-Za-z0-9._-]{0,63}")) throw new IllegalArgumentException("not a customer's id");
        return id;
    }

    static String digest(String text) throws Exception {
        var sha = MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8));
        return HexFormat.of().formatHex(sha);
    }

    void hold(ConsumerRecord<String, String> record) throws Exception {
        var event = event(record);
        var folder = Files.createDirectories(holds.resolve(customer(event)));
        // A release may be read before its placing: both are remembered, and a hold counts while only one of them is.
        var kind = record.topic().endsWith("Placed") ? ".placed" : ".released";
        var scope = event.path("scope").path("kind").asText("all");
        Files.writeString(folder.resolve(digest(event.get("hold_id").asText()) + kind), scope);
    }

    /** No part of a folder can be spared, so what has to stay keeps all of it. */
    boolean held(String customer, JsonNode command) throws Exception {
        if (!command.path("keep").isEmpty()) return true;
        // Whoever commands knows of these holds, and that they concern others only.
        var elsewhere = new HashSet<String>();
        for (var id : command.path("holds")) elsewhere.add(digest(id.asText()) + ".placed");
        var folder = holds.resolve(customer);
        if (!Files.exists(folder)) return false;
        try (var files = Files.list(folder)) {
            for (var f : files.filter(f -> f.toString().endsWith(".placed")).toList()) {
                var over = Files.exists(Path.of(f.toString().replace(".placed", ".released")));
                var mine = Files.readString(f).equals("all") || !elsewhere.contains(f.getFileName().toString());
                if (mine && !over) return true;
            }
        }
        return false;
    }

    void command(ConsumerRecord<String, String> record) throws Exception {
        var event = event(record);
        if (!event.get("holder").asText().equals(name)) return;
        var command = event.get("deletion_id").asText() + "|" + event.get("respond_by").asText();
        var kept = answers.resolve(digest(command) + ".json");
        // Out of date: the customer may have come back and left again since. It is commanded anew if that is still right.
        if (!Files.exists(kept) && !Instant.parse(event.get("respond_by").asText()).isAfter(Instant.now())) return;
        // The same command is answered as it was; only what was carried out is an answer for good.
        var answer = Files.exists(kept) ? (ObjectNode) JSON.readTree(kept.toFile()) : answer(event);
        if (answer.get("outcome").get("kind").asText().equals("erased")) Files.writeString(kept, answer.toString());
        send(customer(event), command, answer);
    }

    ObjectNode answer(JsonNode event) throws Exception {
        var answer = JSON.createObjectNode();
        answer.put("customer_id", customer(event)).put("deletion_id", event.get("deletion_id").asText()).put("holder", name);
        answer.set("outcome", outcome(customer(event), event));
        return answer.put("answered_at", Instant.now().toString());
    }

    ObjectNode outcome(String customer, JsonNode command) throws Exception {
        if (Instant.parse(command.get("window_closed_at").asText()).isAfter(Instant.now())) return refused("window_open");
        if (held(customer, command)) return refused("held");
        var before = others(customer);
        var gone = delete(files(customer));
        var after = others(customer);
        var outcome = JSON.createObjectNode().put("kind", "erased");
        outcome.putArray("deleted").addObject().put("table", "files").put("rows", gone);
        // Read again, by another way than the list that was deleted by.
        outcome.putArray("remaining").addObject().put("table", "files").put("rows", files(customer).size());
        outcome.putArray("bystanders").addObject().put("table", "files")
                .put("rows_before", before.size()).put("rows_after", after.size())
                .put("before", digest(before.toString())).put("after", digest(after.toString()));
        return outcome;
    }

    static ObjectNode refused(String reason) {
        return JSON.createObjectNode().put("kind", "not_erased").put("reason", reason);
    }

    List<Path> files(String customer) throws IOException {
        var folder = data.resolve(customer);
        if (!Files.exists(folder)) return List.of();
        try (var found = Files.walk(folder)) {
            return found.filter(Files::isRegularFile).toList();
        }
    }

    static int delete(List<Path> files) throws IOException {
        for (var file : files) Files.delete(file);
        return files.size();
    }

    List<String> others(String customer) throws IOException {
        try (var found = Files.walk(data)) {
            return found.filter(Files::isRegularFile).filter(f -> !data.relativize(f).getName(0).toString().equals(customer))
                    .map(f -> data.relativize(f) + ":" + f.toFile().length()).sorted().toList();
        }
    }

    void send(String customer, String command, ObjectNode answer) throws Exception {
        // Derived from its cause, so that an answer given twice is one event to whoever reads it.
        var id = UUID.nameUUIDFromBytes((name + "|" + command + "|" + answer.get("outcome")).getBytes(StandardCharsets.UTF_8));
        var cloud = JSON.createObjectNode().put("specversion", "1.0").put("id", id.toString()).put("source", "/holders/" + name)
                .put("type", "DeletionAcknowledged").put("subject", customer).put("datacontenttype", "application/json");
        cloud.set("data", answer);
        var record = new ProducerRecord<>(prefix + "DeletionAcknowledged", customer, cloud.toString());
        record.headers().add("content-type", "application/cloudevents+json".getBytes(StandardCharsets.UTF_8));
        producer.send(record).get();
    }
}
