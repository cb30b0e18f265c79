// Stands for jakarta.annotation-api, which projects have as a dependency; JDKs since 11 do not.
package javax.annotation;

public @interface Generated {
    String value();

    String comments();
}
