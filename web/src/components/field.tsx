import { type ComponentProps, type ReactNode, useId } from "react";

/** One line of text with its label above, a hint, and what is wrong with it. */
export function TextField({
  label,
  hint,
  error,
  className = "",
  ...rest
}: { label: string; hint?: ReactNode; error?: ReactNode } & ComponentProps<"input">) {
  const id = useId();
  return (
    <div className={`grid gap-1.5 ${className}`}>
      <label htmlFor={id} className="font-semibold">
        {label}
      </label>
      {hint && (
        <p id={`${id}-hint`} className="text-soft">
          {hint}
        </p>
      )}
      <input
        id={id}
        aria-invalid={error ? true : undefined}
        aria-describedby={`${hint ? `${id}-hint` : ""} ${error ? `${id}-error` : ""}`.trim() || undefined}
        {...rest}
        className="min-h-12 w-full rounded-2xl border-2 border-edge bg-surface px-4 py-2 text-lg aria-invalid:border-danger"
      />
      {error && (
        <p id={`${id}-error`} role="alert" className="font-medium text-danger">
          {error}
        </p>
      )}
    </div>
  );
}

/** Several lines of text. */
export function TextArea({
  label,
  hint,
  className = "",
  ...rest
}: { label: string; hint?: ReactNode } & ComponentProps<"textarea">) {
  const id = useId();
  return (
    <div className={`grid gap-1.5 ${className}`}>
      <label htmlFor={id} className="font-semibold">
        {label}
      </label>
      {hint && (
        <p id={`${id}-hint`} className="text-soft">
          {hint}
        </p>
      )}
      <textarea
        id={id}
        rows={3}
        aria-describedby={hint ? `${id}-hint` : undefined}
        {...rest}
        className="field-sizing-content min-h-24 w-full rounded-2xl border-2 border-edge bg-surface px-4 py-2.5 text-lg"
      />
    </div>
  );
}

/** One of a few, all in sight. */
export function Choice<T extends string>({
  label,
  hint,
  value,
  options,
  error,
  onChange,
}: {
  label: string;
  hint?: ReactNode;
  value: T;
  options: readonly { value: T; label: string }[];
  error?: ReactNode;
  onChange: (value: T) => void;
}) {
  const name = useId();
  return (
    <fieldset
      className="grid gap-2"
      aria-describedby={`${hint ? `${name}-hint` : ""} ${error ? `${name}-error` : ""}`.trim() || undefined}
    >
      <legend className="mb-2 font-semibold">{label}</legend>
      {hint && (
        <p id={`${name}-hint`} className="text-soft">
          {hint}
        </p>
      )}
      <div className="flex flex-wrap gap-2">
        {options.map((option) => (
          <label
            key={option.value}
            className="inline-flex min-h-12 items-center gap-2.5 rounded-2xl border-2 border-edge bg-surface px-4 py-1.5 has-checked:border-accent has-checked:bg-tint has-focus-visible:outline-3 has-focus-visible:outline-offset-3 has-focus-visible:outline-accent"
          >
            <input
              type="radio"
              name={name}
              checked={option.value === value}
              onChange={() => onChange(option.value)}
              className="size-5 accent-accent outline-none"
            />
            {option.label}
          </label>
        ))}
      </div>
      {error && (
        <p id={`${name}-error`} role="alert" className="font-medium text-danger">
          {error}
        </p>
      )}
    </fieldset>
  );
}

/** On or off, at once. */
export function Switch({
  label,
  hint,
  checked,
  disabled = false,
  onChange,
}: {
  label: string;
  hint?: ReactNode;
  checked: boolean;
  disabled?: boolean;
  onChange: (checked: boolean) => void;
}) {
  const id = useId();
  return (
    <label className="flex min-h-12 items-center justify-between gap-6">
      <span>
        <span id={id} className="font-semibold">
          {label}
        </span>
        {hint && <span className="block text-soft">{hint}</span>}
      </span>
      <span className="relative inline-flex shrink-0">
        <input
          type="checkbox"
          role="switch"
          aria-labelledby={id}
          checked={checked}
          aria-checked={checked}
          disabled={disabled}
          onChange={(event) => onChange(event.target.checked)}
          className="peer h-8 w-14 appearance-none rounded-full border-2 border-edge bg-sunken transition-colors checked:border-accent checked:bg-accent disabled:opacity-55 forced-colors:checked:bg-[Highlight]"
        />
        <span className="pointer-events-none absolute top-1.5 left-1.5 size-5 rounded-full bg-edge transition-transform peer-checked:translate-x-6 peer-checked:bg-on-accent forced-colors:bg-[ButtonText] forced-colors:peer-checked:bg-[HighlightText]" />
      </span>
    </label>
  );
}
